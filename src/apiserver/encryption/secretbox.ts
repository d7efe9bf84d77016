/** The `secretbox` provider: XSalsa20-Poly1305 as NaCl has it. Nonce, tag, ciphertext. */
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import type { Random } from '../../world/world.ts';
import type { Transformer } from './transformers.ts';

const nonceBytes = 24;
const tagBytes = 16;

export function secretbox(name: string, key: Buffer, random: Random): Transformer {
  const prefix = Buffer.from(`k8s:enc:secretbox:v1:${name}:`);
  return {
    label: `secretbox ${JSON.stringify(name)}`,
    prefix,
    encrypt(plain) {
      const nonce = random.bytes(nonceBytes);
      return Buffer.concat([prefix, nonce, xsalsa20poly1305(key, nonce).encrypt(plain)]);
    },
    decrypt(value) {
      const body = value.subarray(prefix.length);
      if (body.length < nonceBytes + tagBytes) throw new Error('the stored value is too short');
      return xsalsa20poly1305(key, body.subarray(0, nonceBytes)).decrypt(body.subarray(nonceBytes));
    },
  };
}
