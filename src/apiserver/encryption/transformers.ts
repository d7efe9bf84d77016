/**
 * How one value is made unreadable for whoever holds the disk: upstream's providers, their prefixes and byte layouts, so that data moves both ways.
 * See https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Random } from '../../world/world.ts';

/** One key of one provider. */
export interface Transformer {
  /** Provider and key, for people: `aesgcm "key1"`. */
  readonly label: string;
  /** What values it wrote begin with; empty for plain ones. */
  readonly prefix: Buffer;
  /** `context` is the storage key: a value moved to another place does not decrypt where the provider can tell. */
  encrypt(plain: Uint8Array, context: string): Uint8Array;
  /** Throws when the value was not written with this key. */
  decrypt(value: Uint8Array, context: string): Uint8Array;
  /** Asks for what it needs before it can be used. Rejects when it cannot. */
  start?(): Promise<void>;
  /** Asks for what decrypting this value needs. Rejects when it cannot be had. */
  prepare?(value: Uint8Array): Promise<void>;
  /** Whether it would write the value differently now, with a key that came later. */
  isStale?(value: Uint8Array): boolean;
  /** Called back when a new key made what was written so far stale. */
  onRenewed?: () => void;
  /** Why it cannot be used at the moment. */
  readonly failure?: string | undefined;
  close?(): void;
}

const nonceBytes = 12;
const tagBytes = 16;
const blockBytes = 16;

export const identity: Transformer = { label: 'identity', prefix: Buffer.alloc(0), encrypt: (plain) => plain, decrypt: (value) => value };

/** Nonce, ciphertext, tag. The context is authenticated along. */
export function aesGcm(name: string, key: Buffer, random: Random): Transformer {
  const label = `aesgcm ${JSON.stringify(name)}`;
  const prefix = Buffer.from(`k8s:enc:aesgcm:v1:${name}:`);
  const algorithm = `aes-${key.length * 8}-gcm` as 'aes-256-gcm';
  return {
    label,
    prefix,
    encrypt(plain, context) {
      const nonce = random.bytes(nonceBytes);
      const cipher = createCipheriv(algorithm, key, nonce);
      cipher.setAAD(Buffer.from(context));
      return Buffer.concat([prefix, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    decrypt(value, context) {
      const body = value.subarray(prefix.length);
      if (body.length < nonceBytes + tagBytes) throw new Error('the stored value is too short');
      const decipher = createDecipheriv(algorithm, key, body.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(body.subarray(body.length - tagBytes));
      return Buffer.concat([decipher.update(body.subarray(nonceBytes, body.length - tagBytes)), decipher.final()]);
    },
  };
}

/** Initialization vector, ciphertext padded to whole blocks. Whoever can write the disk can change it unnoticed: AES-GCM is better. */
export function aesCbc(name: string, key: Buffer, random: Random): Transformer {
  const label = `aescbc ${JSON.stringify(name)}`;
  const prefix = Buffer.from(`k8s:enc:aescbc:v1:${name}:`);
  const algorithm = `aes-${key.length * 8}-cbc`;
  return {
    label,
    prefix,
    encrypt(plain) {
      const vector = random.bytes(blockBytes);
      const cipher = createCipheriv(algorithm, key, vector);
      return Buffer.concat([prefix, vector, cipher.update(plain), cipher.final()]);
    },
    decrypt(value) {
      const body = value.subarray(prefix.length);
      if (body.length < 2 * blockBytes) throw new Error('the stored value is too short');
      const decipher = createDecipheriv(algorithm, key, body.subarray(0, blockBytes));
      return Buffer.concat([decipher.update(body.subarray(blockBytes)), decipher.final()]);
    },
  };
}
