/**
 * A store whose values of chosen resources are encrypted on the way in and decrypted on the way out. Everything above it sees plain values; a value not
 * written with the first key counts as stale, and is written again by the next update, even one that changes nothing: so keys are rotated.
 */
import type { Change, KeyValue, Operation, Store, StoreEvent } from '../../store/store.ts';
import type { EncryptionRule } from './configuration.ts';
import { identity, type Transformer } from './transformers.ts';

const plainOnly: readonly Transformer[] = [identity];

export function encryptedStore(store: Store, rules: readonly EncryptionRule[]): Store {
  return new EncryptedStore(store, rules);
}

class EncryptedStore implements Store {
  private readonly store: Store;
  private readonly rules: readonly EncryptionRule[];
  private readonly byResource = new Map<string, readonly Transformer[]>();
  /** Keys last seen with a value that the first key did not write. */
  private readonly stale = new Set<string>();
  /** What a value was encrypted from, while the store hands it to watchers. */
  private readonly plainOf = new WeakMap<Uint8Array, Uint8Array>();

  constructor(store: Store, rules: readonly EncryptionRule[]) {
    this.store = store;
    this.rules = rules;
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
    return found && this.decrypted(found);
  }

  async range(prefix: string, options?: Parameters<Store['range']>[1]): ReturnType<Store['range']> {
    const result = await this.store.range(prefix, options);
    return { ...result, items: result.items.map((item) => this.decrypted(item)) };
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
    const [first] = this.transformersFor(operation.key);
    if (first === undefined || first === identity) return operation;
    const value = first.encrypt(operation.value, operation.key);
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
    const transformers = this.transformersFor(key);
    let failure: unknown;
    for (const [index, transformer] of transformers.entries()) {
      if (!startsWith(value, transformer.prefix) || (transformer === identity && isEncrypted(value))) continue;
      try {
        const plain = transformer.decrypt(value, key);
        if (isCurrent && index > 0) this.stale.add(key);
        else if (isCurrent && this.stale.size > 0) this.stale.delete(key);
        return plain;
      } catch (error) {
        // Two keys of one name: the next may be the one.
        failure = error;
      }
    }
    throw new Error(`${key} cannot be decrypted with the keys of the encryption configuration`, { cause: failure });
  }

  private transformersFor(key: string): readonly Transformer[] {
    const [, , group = '', resource = ''] = key.split('/', 4);
    const name = `${group}/${resource}`;
    let transformers = this.byResource.get(name);
    if (transformers === undefined) {
      const rule = this.rules.find(({ resources }) => resources.some((pattern) => fits(pattern, group === 'core' ? '' : group, resource)));
      // What is not encrypted any more may still have been, when it was written.
      transformers = rule?.transformers ?? [identity, ...this.rules.flatMap((each) => each.transformers).filter((each) => each !== identity)];
      if (this.rules.length === 0) transformers = plainOnly;
      this.byResource.set(name, transformers);
    }
    return transformers;
  }
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
