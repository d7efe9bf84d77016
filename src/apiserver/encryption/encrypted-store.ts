/**
 * A store whose values of chosen resources are encrypted on the way in and decrypted on the way out. Everything above it sees plain values; a value not
 * written with the first key counts as stale, and is written again by the next update, even one that changes nothing: so keys are rotated.
 */
import { type Change, type KeyValue, type Operation, type Store, type StoreEvent, StoreFailure } from '../../store/store.ts';
import type { EncryptionRule } from './configuration.ts';
import { identity, type Transformer } from './transformers.ts';

/** How many values are looked at in one go when the configuration changes. */
const pageSize = 2_000;

/** Resolves when every key that writes can be used. Rejects with a {@link StoreFailure} when one cannot. */
export async function encryptedStore(store: Store, rules: readonly EncryptionRule[]): Promise<EncryptedStore> {
  await start(rules);
  return new EncryptedStore(store, new Keys(rules));
}

/** Which transformers are for which resource, by one configuration. */
class Keys {
  readonly rules: readonly EncryptionRule[];
  private readonly byResource = new Map<string, readonly Transformer[]>();

  constructor(rules: readonly EncryptionRule[]) {
    this.rules = rules;
  }

  /** The first writes. */
  for(key: string): readonly Transformer[] {
    const [, , group = '', resource = ''] = key.split('/', 4);
    const name = `${group}/${resource}`;
    let transformers = this.byResource.get(name);
    if (transformers === undefined) {
      const rule = this.rules.find(({ resources }) => resources.some((pattern) => fits(pattern, group === 'core' ? '' : group, resource)));
      // What is not encrypted any more may still have been, when it was written.
      transformers = rule?.transformers ?? [identity, ...this.all().filter((each) => each !== identity)];
      this.byResource.set(name, transformers);
    }
    return transformers;
  }

  all(): Transformer[] {
    return [...new Set(this.rules.flatMap((rule) => rule.transformers))];
  }
}

export class EncryptedStore implements Store {
  private readonly store: Store;
  private keys: Keys;
  /** Keys last seen with a value that the first key did not write. */
  private stale = new Set<string>();
  /** What was written while a new configuration was looked at. */
  private writtenMeanwhile: Set<string> | undefined;
  /** What a value was encrypted from, while the store hands it to watchers. */
  private readonly plainOf = new WeakMap<Uint8Array, Uint8Array>();

  constructor(store: Store, keys: Keys) {
    this.store = store;
    this.keys = keys;
    this.followRenewals();
  }

  /** Each provider that asks elsewhere, and why it cannot be used at the moment. */
  providers(): { readonly label: string; readonly failure: string | undefined }[] {
    return this.keys
      .all()
      .filter(({ start: begin }) => begin !== undefined)
      .map(({ label, failure }) => ({ label, failure }));
  }

  /**
   * Goes on with another configuration: new values are written as it says, old ones are read with its keys, and count as stale where it would write them
   * differently. Rejects, and changes nothing, when a key that stored values need is not in it.
   */
  async replace(rules: readonly EncryptionRule[]): Promise<void> {
    if (this.writtenMeanwhile !== undefined) throw new StoreFailure('another encryption configuration is being looked at');
    const written = new Set<string>();
    this.writtenMeanwhile = written;
    const next = new Keys(rules);
    try {
      await start(rules);
      const stale = await this.staleUnder(next);
      const former = this.keys;
      this.keys = next;
      for (const key of written) stale.add(key);
      this.stale = stale;
      this.followRenewals();
      closeKeys(former);
    } catch (error) {
      closeKeys(next);
      throw error;
    } finally {
      this.writtenMeanwhile = undefined;
    }
  }

  /** Gives back what the keys hold; the store below is its owner's. */
  closeKeys(): void {
    closeKeys(this.keys);
  }

  revision(): number {
    return this.store.revision();
  }

  oldestRevision(): number {
    return this.store.oldestRevision();
  }

  compact(revision: number): Promise<void> {
    return this.store.compact(revision);
  }

  close(): Promise<void> {
    return this.store.close();
  }

  isStale(key: string): boolean {
    return this.stale.has(key);
  }

  async get(key: string, revision?: number): ReturnType<Store['get']> {
    const found = await this.store.get(key, revision);
    if (found === undefined) return undefined;
    await this.prepare([found], this.keys);
    return this.decrypted(found);
  }

  async range(prefix: string, options?: Parameters<Store['range']>[1]): ReturnType<Store['range']> {
    const result = await this.store.range(prefix, options);
    await this.prepare(result.items, this.keys);
    return { ...result, items: result.items.map((item) => this.decrypted(item)) };
  }

  async each(prefix: string, visit: (item: KeyValue) => void): Promise<number> {
    // In pages: keys may have to be asked for before values can be read.
    let page = await this.range(prefix, { limit: pageSize, countUpTo: 1 });
    const { revision } = page;
    for (;;) {
      for (const item of page.items) visit(item);
      const after = page.items.at(-1)?.key;
      if (page.remaining === 0 || after === undefined) return revision;
      page = await this.range(prefix, { revision, limit: pageSize, countUpTo: 1, after });
    }
  }

  commit(operations: readonly Operation[], guards?: Parameters<Store['commit']>[1]): Promise<number> {
    return this.store.commit(
      operations.map((operation) => this.encrypted(operation)),
      guards,
    );
  }

  watch(prefix: string, afterRevision: number, onEvent: (event: StoreEvent) => void, signal: AbortSignal): Promise<void> {
    return this.store.watch(
      prefix,
      afterRevision,
      ({ revision, changes }) => onEvent({ revision, changes: changes.map((change) => this.decryptedChange(change)) }),
      signal,
    );
  }

  private encrypted(operation: Operation): Operation {
    if (operation.type !== 'put') return operation;
    const [first] = this.keys.for(operation.key);
    if (first === undefined || first === identity) return operation;
    const value = first.encrypt(operation.value, operation.key);
    this.writtenMeanwhile?.add(operation.key);
    this.plainOf.set(value, operation.value);
    return { ...operation, value };
  }

  private decryptedChange(change: Change): Change {
    const { key, previous } = change;
    if (change.type === 'delete') {
      this.stale.delete(key);
      return { ...change, previous: this.lazily(change.previous) };
    }
    const value = this.plainOf.get(change.value) ?? this.plainValue(key, change.value);
    if (this.plainOf.has(change.value)) this.stale.delete(key);
    return { ...change, value, previous: previous && this.lazily(previous) };
  }

  /** Few ask for what was before: it is decrypted for those who do. */
  private lazily(item: KeyValue): KeyValue {
    const plain = (): Uint8Array => this.plainValue(item.key, item.value, false);
    return {
      ...item,
      get value() {
        return plain();
      },
    };
  }

  private decrypted(item: KeyValue): KeyValue {
    const value = this.plainValue(item.key, item.value);
    return value === item.value ? item : { ...item, value };
  }

  private plainValue(key: string, value: Uint8Array, isCurrent = true): Uint8Array {
    const transformers = this.keys.for(key);
    let failure: Error | undefined;
    for (const [index, transformer] of transformers.entries()) {
      if (!wrote(transformer, value)) continue;
      try {
        const plain = transformer.decrypt(value, key);
        if (isCurrent && (index > 0 || transformer.isStale?.(value) === true)) this.stale.add(key);
        else if (isCurrent && this.stale.size > 0) this.stale.delete(key);
        return plain;
      } catch (error) {
        // Two keys of one name: the next may be the one.
        failure = error instanceof Error ? error : new Error(String(error));
      }
    }
    if (failure === undefined) throw unknownKey(key, value, transformers);
    throw new StoreFailure(`${key} cannot be decrypted with the keys of the encryption configuration: ${failure.message}`, { cause: failure });
  }

  /** Asks for what decrypting the values needs. Most need nothing. */
  private async prepare(items: readonly KeyValue[], keys: Keys): Promise<void> {
    if (!keys.all().some((transformer) => transformer.prepare !== undefined)) return;
    for (const { key, value } of items) {
      for (const transformer of keys.for(key)) {
        if (transformer.prepare === undefined || !wrote(transformer, value)) continue;
        await transformer.prepare(value).catch((error: unknown) => {
          throw new StoreFailure(`${key} cannot be decrypted: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
        });
      }
    }
  }

  /** What the configuration would write differently. Rejects when it cannot read something. */
  private async staleUnder(keys: Keys): Promise<Set<string>> {
    const stale = new Set<string>();
    for (let after: string | undefined; ;) {
      const { items, remaining } = await this.store.range('/registry/', { limit: pageSize, ...(after !== undefined && { after }) });
      for (const { key, value } of items) {
        const transformers = keys.for(key);
        const index = transformers.findIndex((transformer) => wrote(transformer, value));
        const writer = transformers[index];
        if (writer === undefined) throw unknownKey(key, value, transformers);
        if (index > 0 || writer.isStale?.(value) === true) stale.add(key);
      }
      await this.prepare(items, keys);
      after = items.at(-1)?.key;
      if (remaining === 0 || after === undefined) return stale;
    }
  }

  /** A provider whose key changed makes what it wrote before stale. */
  private followRenewals(): void {
    const { keys } = this;
    for (const transformer of keys.all()) {
      if (transformer.start === undefined) continue;
      transformer.onRenewed = () => {
        // What cannot be read now will say so to whoever reads it.
        this.staleUnder(keys).then(
          (stale) => {
            if (this.keys === keys) this.stale = stale;
          },
          () => undefined,
        );
      };
    }
  }
}

async function start(rules: readonly EncryptionRule[]): Promise<void> {
  for (const transformer of new Keys(rules).all()) {
    await transformer.start?.().catch((error: unknown) => {
      throw new StoreFailure(`the encryption provider cannot be used: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    });
  }
}

function closeKeys(keys: Keys): void {
  for (const transformer of keys.all()) transformer.close?.();
}

function wrote(transformer: Transformer, value: Uint8Array): boolean {
  return transformer === identity ? !isEncrypted(value) : startsWith(value, transformer.prefix);
}

/** `k8s:enc:aesgcm:v1:key1:` tells who wrote the value: that is what its reader has to look for. */
function unknownKey(key: string, value: Uint8Array, transformers: readonly Transformer[]): StoreFailure {
  const [, provider = '', name = ''] = /^k8s:enc:(\w+):v\d:([^:]+):/.exec(Buffer.from(value.subarray(0, 512)).toString('latin1')) ?? [];
  const writer = provider === '' ? 'written plain' : `written with the key ${JSON.stringify(name)} of ${provider}`;
  const known = transformers.map(({ label }) => label).join(', ');
  return new StoreFailure(`${key} was ${writer}, which the encryption configuration does not have for it: it has ${known}`);
}

/** `secrets`, `deployments.apps`, `*.apps`, `*.` for the core group, `*.*` for everything. */
function fits(pattern: string, group: string, resource: string): boolean {
  if (pattern === '*.*') return true;
  const dot = pattern.indexOf('.');
  const patternGroup = dot < 0 ? '' : pattern.slice(dot + 1);
  const patternResource = dot < 0 ? pattern : pattern.slice(0, dot);
  return patternGroup === group && (patternResource === '*' || patternResource === resource);
}

const encryptedMark = Buffer.from('k8s:enc:');

function isEncrypted(value: Uint8Array): boolean {
  return startsWith(value, encryptedMark);
}

function startsWith(value: Uint8Array, prefix: Uint8Array): boolean {
  if (value.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (value[i] !== prefix[i]) return false;
  return true;
}
