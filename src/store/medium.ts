/**
 * Where a {@link RevisionedStore} keeps its bytes: the newest value of every key, and a log that can undo it step by step to an earlier revision.
 * Like bbolt below etcd's mvcc, a medium knows nothing of guards, watchers or pipelining; it only has to write a batch whole or not at all.
 */
import type { KeyValue } from './store.ts';

/** A key's newest state, with when it deletes itself. */
export interface Entry extends KeyValue {
  readonly expiresAtMs: number | undefined;
}

/** What one commit did, so that it can be undone. `current` is undefined for a delete. */
export interface AppliedChange {
  readonly key: string;
  readonly current: Entry | undefined;
  readonly previous: Entry | undefined;
}

export interface AppliedCommit {
  readonly revision: number;
  readonly changes: readonly AppliedChange[];
}

/** One revision of the log: each key it changed, and what the key was before. What the key became is the next record's `previous`, or the newest value. */
export interface UndoRecord {
  readonly revision: number;
  readonly changes: readonly UndoChange[];
}

export interface UndoChange {
  readonly key: string;
  readonly deleted: boolean;
  readonly previous: KeyValue | undefined;
}

export interface Batch {
  /** In order of revision, without gaps, following on the last batch. */
  readonly commits: readonly AppliedCommit[];
  /** Drop the log from after `forgetFrom` through `forgetThrough`; equal for nothing. */
  readonly forgetFrom: number;
  readonly forgetThrough: number;
}

/** What is there when a medium is opened. */
export interface Loaded {
  readonly revision: number;
  readonly oldestRevision: number;
  readonly keys: Iterable<LoadedKey>;
}

export interface LoadedKey {
  readonly key: string;
  readonly modRevision: number;
  readonly expiresAtMs: number | undefined;
}

/**
 * Reads are synchronous and may already show a batch whose `write` has not resolved yet: the store above covers those keys with what they were.
 * Between two reads in one turn of the event loop nothing changes under an iterator.
 */
export interface Medium {
  /** Keys that take more in UTF-8 are refused before they get here. */
  readonly maxKeyBytes: number;
  load(): Loaded;
  get(key: string): Entry | undefined;
  /** Entries with the prefix and greater than `after`, by bytes of their keys. */
  scan(prefix: string, after: string | undefined): Iterable<KeyValue>;
  /** All entries with the prefix, each with a value that is only lent until `visit` returns. */
  each(prefix: string, visit: (entry: KeyValue) => void): void;
  /** The same, keys only. */
  scanKeys(prefix: string, after: string | undefined): Iterable<string>;
  /** Records after one revision through another, oldest first. */
  log(after: number, through: number): Iterable<UndoRecord>;
  /** Resolves when the batch is durable; rejects when nothing of it was written. One at a time. */
  write(batch: Batch): Promise<void>;
  /** Gives back what memory reading has taken, where that is much; only while nothing is being written. */
  letGo?(): void;
  close(): Promise<void>;
}
