/**
 * The `kms` provider, version 2: a plugin keeps the key; the server has a seed that only the plugin can unwrap, and derives each value's key from it, so
 * that the plugin is asked at the start, when its key changes, and for a seed not seen yet. See https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import type { Timer, World } from '../../world/world.ts';
import type { KmsClient } from './kms-client.ts';
import { decodeKmsValue, encodeKmsValue, type KmsValue, type WrappedSeed } from './kms-messages.ts';
import type { Transformer } from './transformers.ts';

const seedBytes = 32;
const infoBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const sourceIsSeed = 1;
/** As upstream: how often the plugin is asked whether its key changed. */
const lookEveryMs = 60_000;
/** Wrapped seeds remembered: one for each key the plugin ever had, and each start of a server. */
const seedBound = 1_000;

interface OwnSeed {
  readonly wrapped: WrappedSeed;
  readonly seed: Buffer;
}

export class KmsTransformer implements Transformer {
  readonly label: string;
  readonly prefix: Buffer;
  onRenewed?: () => void;
  private readonly name: string;
  private readonly world: World;
  private readonly client: KmsClient;
  private readonly seeds = new Map<string, Buffer>();
  private own: OwnSeed | undefined;
  private looking: Timer | undefined;
  private unhealthy: string | undefined;

  constructor(name: string, world: World, client: KmsClient) {
    this.name = name;
    this.world = world;
    this.client = client;
    this.label = `kms ${JSON.stringify(name)}`;
    this.prefix = Buffer.from(`k8s:enc:kms:v2:${name}:`);
  }

  /** Why the plugin cannot be used at the moment; undefined when it can. */
  get failure(): string | undefined {
    return this.unhealthy;
  }

  /** Makes a seed and has it wrapped. Rejects when the plugin does not work. */
  async start(): Promise<void> {
    await this.look();
    this.looking ??= this.world.clock.every(lookEveryMs, () => {
      this.look().catch((error: unknown) => this.world.log.warn('the key management plugin failed', { name: this.name, error: String(error) }));
    });
  }

  /** Unwraps the seed of a value if it is not known yet. */
  async prepare(value: Uint8Array): Promise<void> {
    const stored = this.stored(value);
    const id = seedId(stored);
    if (this.seeds.has(id)) return;
    const seed = await this.client.decrypt(stored);
    if (seed.length !== seedBytes) throw new Error(`${this.label} unwrapped a key of ${seed.length} bytes, not ${seedBytes}`);
    this.remember(id, seed);
  }

  encrypt(plain: Uint8Array, context: string): Uint8Array {
    if (this.own === undefined) throw new Error(`${this.label} has no key yet`);
    const { wrapped, seed } = this.own;
    const info = this.world.random.bytes(infoBytes);
    const nonce = this.world.random.bytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', derived(seed, info), nonce);
    cipher.setAAD(Buffer.from(context));
    const data = Buffer.concat([info, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return Buffer.concat([this.prefix, encodeKmsValue({ ...wrapped, data, sourceType: sourceIsSeed })]);
  }

  decrypt(value: Uint8Array, context: string): Uint8Array {
    const stored = this.stored(value);
    const seed = this.seeds.get(seedId(stored));
    if (seed === undefined) throw new Error(`${this.label} has not unwrapped the key of the value`);
    const { data, sourceType } = stored;
    const start = sourceType === sourceIsSeed ? infoBytes : 0;
    if (data.length < start + nonceBytes + tagBytes) throw new Error('the stored value is too short');
    const key = sourceType === sourceIsSeed ? derived(seed, data.subarray(0, infoBytes)) : seed;
    const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(start, start + nonceBytes), { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(data.subarray(data.length - tagBytes));
    return Buffer.concat([decipher.update(data.subarray(start + nonceBytes, data.length - tagBytes)), decipher.final()]);
  }

  isStale(value: Uint8Array): boolean {
    const { keyId, sourceType } = this.stored(value);
    return sourceType !== sourceIsSeed || keyId !== this.own?.wrapped.keyId;
  }

  close(): void {
    this.looking?.cancel();
    this.client.close();
  }

  private async look(): Promise<void> {
    try {
      const { version, healthz, keyId } = await this.client.status();
      if (version !== 'v2' && version !== 'v2beta1') throw new Error(`${this.label} speaks version ${JSON.stringify(version)}, not v2`);
      if (healthz !== 'ok') throw new Error(`${this.label} says it is not healthy: ${JSON.stringify(healthz)}`);
      if (keyId === '') throw new Error(`${this.label} names no key`);
      if (this.own?.wrapped.keyId !== keyId) await this.renew();
      this.unhealthy = undefined;
    } catch (error) {
      this.unhealthy = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  private async renew(): Promise<void> {
    const seed = this.world.random.bytes(seedBytes);
    const wrapped = await this.client.encrypt(seed);
    if (wrapped.ciphertext.length === 0 || wrapped.ciphertext.length > 1024) {
      throw new Error(`${this.label} wrapped a key into ${wrapped.ciphertext.length} bytes: it has to be 1 to 1024`);
    }
    this.remember(seedId(wrapped), seed);
    const isFirst = this.own === undefined;
    this.own = { wrapped, seed };
    if (!isFirst) this.onRenewed?.();
  }

  private remember(id: string, seed: Buffer): void {
    const [oldest] = this.seeds.size >= seedBound ? this.seeds.keys() : [];
    if (oldest !== undefined) this.seeds.delete(oldest);
    this.seeds.set(id, seed);
  }

  private stored(value: Uint8Array): KmsValue {
    return decodeKmsValue(value.subarray(this.prefix.length));
  }
}

function seedId({ ciphertext, keyId }: WrappedSeed): string {
  return `${keyId}\0${ciphertext.toString('base64')}`;
}

/** HKDF-SHA256's expansion to one block: the seed is random already, and needs no extraction. */
function derived(seed: Buffer, info: Buffer): Buffer {
  return createHmac('sha256', seed)
    .update(info)
    .update(Buffer.from([1]))
    .digest();
}
