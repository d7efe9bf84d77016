/** A store that lives in memory and dies with it: for tests and throw-away clusters. */
import { compareKeys } from './key-order.ts';
import type { Batch, Entry, Loaded, Medium, UndoRecord } from './medium.ts';
import { RevisionedStore, type StoreOptions } from './revisioned-store.ts';
import type { Store } from './store.ts';

/** All that a memory store holds, history included. Values are shared with the store, which never changes them. */
export interface StoreImage {
  readonly revision: number;
  readonly oldestRevision: number;
  readonly entries: readonly Entry[];
  readonly log: readonly UndoRecord[];
}

export interface MemoryStore extends Store {
  /** What is durable now, for another store to begin with; costs a copy of references. Also answers after the store was closed. */
  image(): StoreImage;
}

/** Empty, or as the image was. */
export function memoryStore(options: StoreOptions = {}, image?: StoreImage): MemoryStore {
  const medium = new MemoryMedium(image);
  return Object.assign(new RevisionedStore(medium, options), { image: () => medium.image() });
}

const nothing: StoreImage = { revision: 1, oldestRevision: 1, entries: [], log: [] };

export class MemoryMedium implements Medium {
  readonly maxKeyBytes = Infinity;
  readonly #entries = new Map<string, Entry>();
  /** Sorted when first needed after a key came or went; nearly sorted already by then, which is cheap. */
  #keys: string[] = [];
  #keysStale = false;
  /** Revisions have no gaps, so a record's place follows from its revision. */
  #log: UndoRecord[];
  #revision: number;
  #oldestRevision: number;

  constructor(image: StoreImage = nothing) {
    for (const entry of image.entries) this.#entries.set(entry.key, entry);
    this.#keys = image.entries.map(({ key }) => key);
    this.#keysStale = true;
    this.#log = [...image.log];
    this.#revision = image.revision;
    this.#oldestRevision = image.oldestRevision;
  }

  image(): StoreImage {
    return { revision: this.#revision, oldestRevision: this.#oldestRevision, entries: [...this.#entries.values()], log: [...this.#log] };
  }

  load(): Loaded {
    return { revision: this.#revision, oldestRevision: this.#oldestRevision, keys: this.#entries.values() };
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  *scan(prefix: string, after: string | undefined): Generator<Entry> {
    for (const key of this.scanKeys(prefix, after)) {
      const entry = this.#entries.get(key);
      if (entry) yield entry;
    }
  }

  each(prefix: string, visit: (entry: Entry) => void): void {
    for (const entry of this.scan(prefix, undefined)) visit(entry);
  }

  *scanKeys(prefix: string, after: string | undefined): Generator<string> {
    const keys = this.#sortedKeys();
    const start = after !== undefined && compareKeys(after, prefix) >= 0 ? firstPast(keys, after, true) : firstPast(keys, prefix, false);
    for (let i = start; i < keys.length; i++) {
      const key = keys[i];
      if (!key?.startsWith(prefix)) return;
      yield key;
    }
  }

  *log(after: number, through: number): Generator<UndoRecord> {
    const first = this.#log[0]?.revision ?? 0;
    for (let revision = Math.max(after + 1, first); revision <= through; revision++) {
      const record = this.#log[revision - first];
      if (record) yield record;
    }
  }

  async write({ commits, forgetThrough }: Batch): Promise<void> {
    for (const { revision, changes } of commits) {
      for (const { key, current } of changes) {
        if (current) {
          if (!this.#entries.has(key)) {
            this.#keys.push(key);
            this.#keysStale = true;
          }
          this.#entries.set(key, kept(current));
        } else if (this.#entries.delete(key)) {
          this.#keysStale = true;
        }
      }
      this.#revision = revision;
      this.#log.push({ revision, changes: changes.map(({ key, current, previous }) => ({ key, deleted: current === undefined, previous })) });
    }
    this.#oldestRevision = forgetThrough;
    const first = this.#log[0]?.revision ?? 0;
    // Cutting costs the log's length, so it waits until half of it is forgotten.
    if ((forgetThrough - first) * 2 > this.#log.length) this.#log = this.#log.filter(({ revision }) => revision > forgetThrough);
  }

  /** Keeps what it holds: the image of a closed store is the last one, with all that was ever acknowledged. */
  async close(): Promise<void> {}

  #sortedKeys(): readonly string[] {
    if (this.#keysStale) {
      this.#keys = [...new Set(this.#keys.filter((key) => this.#entries.has(key)))].sort(compareKeys);
      this.#keysStale = false;
    }
    return this.#keys;
  }
}

/**
 * The entry with its value alone in its memory. Values come as slices of blocks that Node fills one after the other, and a block stays as long as any
 * slice of it does: of an object written five times, four dead versions would be held with the last.
 */
function kept(entry: Entry): Entry {
  const { value } = entry;
  return value.buffer.byteLength === value.byteLength ? entry : { ...entry, value: new Uint8Array(value) };
}

/** Index of the first key greater than (or, unless `strictly`, equal to) the bound. */
function firstPast(keys: readonly string[], bound: string, strictly: boolean): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = compareKeys(keys[middle] ?? '', bound);
    if (order < 0 || (strictly && order === 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}
