/**
 * A revisioned key-value store: etcd's data model, as far as an API server needs it. Every commit gets the next revision; keys keep their history
 * until it is compacted. `memory.ts`, `lmdb.ts` and (later) `etcd.ts` implement it and pass the one suite in `store-suite.ts`.
 */

export interface KeyValue {
  /** `/registry/<group>/<resource>/<namespace>/<name>`: any UTF-8 string; ranges order keys by their bytes. */
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  /** The revision of the commit that last wrote the key. */
  readonly modRevision: number;
}

export type Operation = Put | Delete;

export interface Put {
  readonly type: 'put';
  readonly key: string;
  readonly value: Uint8Array;
  /** Epoch ms after which the key deletes itself (Events); absent for never. */
  readonly expiresAtMs?: number;
}

export interface Delete {
  readonly type: 'delete';
  readonly key: string;
}

/** What must hold for a commit to happen: the key's last revision, or 0 for "absent". */
export interface Guard {
  readonly key: string;
  readonly modRevision: number;
}

export interface RangeOptions {
  /** At most so many; all when absent. */
  readonly limit?: number;
  /** Only keys greater than this one. */
  readonly after?: string;
  /** Count what remains no further than this; to the end when absent. */
  readonly countUpTo?: number;
  /** State as of this revision; the newest when absent. Rejects with {@link Compacted} when gone, {@link FutureRevision} when not yet there. */
  readonly revision?: number;
}

export interface RangeResult {
  /** The revision the answer shows. */
  readonly revision: number;
  readonly items: readonly KeyValue[];
  /** How many keys with the prefix lie past the last item. */
  readonly remaining: number;
}

/** All changes of one commit, in the order of its operations. */
export interface StoreEvent {
  readonly revision: number;
  readonly changes: readonly Change[];
}

export type Change =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: Uint8Array;
      readonly createRevision: number;
      readonly previous: KeyValue | undefined;
    }
  | { readonly type: 'delete'; readonly key: string; readonly previous: KeyValue };

export interface Store {
  /** The revision of the last durable commit; 1 for an empty store, as etcd has it. */
  revision(): number;
  get(key: string, revision?: number): Promise<KeyValue | undefined>;
  range(prefix: string, options?: RangeOptions): Promise<RangeResult>;
  /**
   * Hands over all keys with the prefix as they are now, in order, so that nobody need hold them all; answers the revision they show. A value is only lent:
   * once `visit` returns its bytes may be overwritten.
   */
  each(prefix: string, visit: (item: KeyValue) => void): Promise<number>;
  /**
   * All operations or none, as one revision; resolves when durable, after every watcher was handed the event. Rejects with {@link Conflict}
   * (nothing written) when a guard fails, and with {@link StoreFailure} when the medium does (full disk); nothing is written then either.
   */
  commit(operations: readonly Operation[], guards?: readonly Guard[]): Promise<number>;
  /**
   * Calls `onEvent` for every commit after `afterRevision` that touches the prefix, in order, each once and only when durable; past ones first
   * (before this call's promise resolves), then new ones, synchronously before the commit's own promise resolves. Ends when the signal aborts.
   * Rejects with {@link Compacted} when that history is gone.
   */
  watch(prefix: string, afterRevision: number, onEvent: (event: StoreEvent) => void, signal: AbortSignal): Promise<void>;
  /** Forgets history at and before the revision: what was overwritten or deleted by then can no longer be read. Current values stay. */
  compact(revision: number): Promise<void>;
  /** The oldest revision that can still be read. */
  oldestRevision(): number;
  /** Whether the value at the key should be written again though it did not change (encrypted with an old key); absent for never. */
  isStale?(key: string): boolean;
  /** Waits for commits under way, then lets go of files. */
  close(): Promise<void>;
}

/** A guard did not hold; `key` is the first that failed and `actual` its revision (0: absent). */
export class Conflict extends Error {
  readonly key: string;
  readonly actual: number;
  constructor(key: string, actual: number) {
    super(`key ${key} is at revision ${actual}`);
    this.name = 'Conflict';
    this.key = key;
    this.actual = actual;
  }
}

/** The revision asked for was compacted away. */
export class Compacted extends Error {
  readonly oldest: number;
  constructor(oldest: number) {
    super(`the required revision has been compacted; the oldest kept is ${oldest}`);
    this.name = 'Compacted';
    this.oldest = oldest;
  }
}

/** The revision asked for has not happened yet. */
export class FutureRevision extends Error {
  readonly current: number;
  constructor(current: number) {
    super(`the required revision is in the future; the current one is ${current}`);
    this.name = 'FutureRevision';
    this.current = current;
  }
}

/** The medium failed: full disk, lost connection. The commit did not happen. */
export class StoreFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreFailure';
  }
}
