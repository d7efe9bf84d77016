/**
 * The default store: an LMDB environment in a directory, the same copy-on-write B+tree design as etcd's bbolt. One database holds the newest value
 * of every key, one the undo log by revision, one the format and the newest revision; a batch is one transaction over all three.
 *
 * What makes an answer durable. lmdb-js commits on a thread of its own and by default (`overlappingSync`) resolves the promise of a write when its
 * transaction is *visible*, before it was synced; `db.flushed` is the later moment. With `overlappingSync: false` LMDB commits classically:
 * pages are written, fdatasync, then the meta page through an O_DSYNC descriptor, and only then is the promise resolved. We sync one batch while
 * the next is gathered, so overlapping would win nothing, and an error of the sync reaches us as the rejection of this very write.
 *
 * A transaction in which any write fails is aborted whole by lmdb-js's worker. `mapSize` is address space, not disk; lmdb-js maps anew, doubled,
 * when it runs out.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { World } from '../world/world.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';
import { entrySize, readEntry, readEntryHeader, readRevisionKey, readUndo, revisionKey, undoSize, writeEntry, writeUndo } from './lmdb-records.ts';
import type { Batch, Entry, Loaded, LoadedKey, Medium, UndoRecord } from './medium.ts';
import { RevisionedStore, type StoreOptions } from './revisioned-store.ts';
import { type Store, StoreFailure } from './store.ts';

export interface LmdbStoreOptions extends Omit<StoreOptions, 'clock' | 'log'> {
  /** A directory; made, readable by its owner only, when absent. */
  readonly path: string;
  readonly world: World;
}

/** What this program writes, and the newest it can read. */
export const formatVersion = 1;

const initialMapBytes = 256 * 1024 * 1024;
/** MDB_PANIC: an earlier write of the meta page failed, and the environment refuses all writes until opened anew. */
const environmentPanic = -30795;
const lowSpaceBytes = 1024 * 1024;
const lmdbMagic = Buffer.from('dec0efbe', 'hex');
const lmdbMagicOffset = 24;
/** LMDB's own bound with 4 KiB pages, as lmdb-js sets it. */
const maxKeyBytes = 1978;

/** Rejects with {@link StoreFailure} when the directory is in use, holds newer data, or cannot be read. */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const { path, world, ...rest } = options;
  let lock: DirectoryLock | undefined;
  try {
    lock = lockDirectory(path, world.random.uid());
    const medium = new LmdbMedium(path, lock);
    return new RevisionedStore(medium, { ...rest, clock: world.clock, log: world.log.child('store') });
  } catch (error) {
    lock?.release();
    if (error instanceof StoreFailure) throw error;
    throw new StoreFailure(`the store in ${path} cannot be opened: ${wordsOf(error)}`, { cause: error });
  }
}

interface State {
  readonly revision: number;
  readonly oldestRevision: number;
}

interface Databases {
  readonly root: RootDatabase<unknown, string>;
  readonly meta: Database<unknown, string>;
  readonly keys: Database<Buffer, Buffer>;
  readonly log: Database<Buffer, Buffer>;
}

class LmdbMedium implements Medium {
  readonly maxKeyBytes = maxKeyBytes;
  readonly #path: string;
  readonly #lock: DirectoryLock;
  #databases: Databases;
  #state: State;
  /** Set when writing on would do harm. */
  #broken: StoreFailure | undefined;

  constructor(path: string, lock: DirectoryLock) {
    this.#path = path;
    this.#lock = lock;
    this.#databases = openDatabases(path);
    const { meta } = this.#databases;
    const format = meta.get('format');
    if (format === undefined) {
      this.#state = { revision: 1, oldestRevision: 1 };
      meta.transactionSync(() => {
        void meta.put('format', formatVersion);
        void meta.put('state', this.#state);
      });
      return;
    }
    if (format !== formatVersion) {
      void this.#databases.root.close();
      throw new StoreFailure(
        `the data in ${path} has format version ${JSON.stringify(format)}, this program reads version ${formatVersion}: use the k8ts version that wrote it, or another data directory`,
      );
    }
    this.#state = asState(meta.get('state'), path);
  }

  load(): Loaded {
    return { ...this.#state, keys: this.#loadKeys() };
  }

  *#loadKeys(): Generator<LoadedKey> {
    const { keys } = this.#databases;
    for (const key of keys.getKeys()) {
      // A look at the header in lmdb-js's own buffer: a copy of every value would be thrown away at once.
      const bytes = keys.getBinaryFast(key);
      if (bytes) yield readEntryHeader(key.toString(), bytes);
    }
  }

  get(key: string): Entry | undefined {
    // Not getBinaryFast: it hands out one shared buffer, longer than the value.
    const bytes = this.#databases.keys.getBinary(Buffer.from(key));
    return bytes && readEntry(key, bytes, bytes.length);
  }

  *scan(prefix: string, after: string | undefined): Generator<Entry> {
    for (const { key, value } of this.#databases.keys.getRange({ start: startOf(prefix, after) })) {
      const text = key.toString();
      if (!text.startsWith(prefix)) return;
      yield readEntry(text, value, value.length);
    }
  }

  each(prefix: string, visit: (entry: Entry) => void): void {
    const { keys } = this.#databases;
    for (const key of keys.getKeys({ start: startOf(prefix, undefined) })) {
      const text = key.toString();
      if (!text.startsWith(prefix)) return;
      // lmdb-js's own buffer, which the next read fills anew; `length` is the value's, the buffer itself is longer.
      const bytes = keys.getBinaryFast(key);
      if (bytes) visit(readEntry(text, bytes, bytes.length));
    }
  }

  *scanKeys(prefix: string, after: string | undefined): Generator<string> {
    for (const key of this.#databases.keys.getKeys({ start: startOf(prefix, after) })) {
      const text = key.toString();
      if (!text.startsWith(prefix)) return;
      yield text;
    }
  }

  *log(after: number, through: number): Generator<UndoRecord> {
    let expected = after + 1;
    for (const { key, value } of this.#databases.log.getRange({ start: revisionKey(expected) })) {
      const revision = readRevisionKey(key);
      if (revision > through) break;
      if (revision !== expected++) throw new StoreFailure(`the history in ${this.#path} lacks revision ${expected - 1}`);
      yield { revision, changes: readUndo(value) };
    }
    if (expected <= through) throw new StoreFailure(`the history in ${this.#path} lacks revision ${expected}`);
  }

  async write({ commits, forgetFrom, forgetThrough }: Batch): Promise<void> {
    if (this.#broken) throw this.#broken;
    const newest = new Map<string, Entry | undefined>();
    let size = 0;
    for (const { changes } of commits) {
      size += undoSize(changes);
      for (const { key, current } of changes) newest.set(key, current);
    }
    for (const entry of newest.values()) if (entry) size += entrySize(entry);
    // One buffer for the whole batch: lmdb-js looks up a buffer's address once for each.
    const arena = Buffer.allocUnsafeSlow(size);
    let used = 0;
    const take = (bytes: number): Buffer => arena.subarray(used, (used += bytes));
    const state = { revision: commits.at(-1)?.revision ?? this.#state.revision, oldestRevision: forgetThrough };
    const { root, meta, keys, log } = this.#databases;
    try {
      // Inside, put and remove only queue; the one promise of the batch speaks for all of them.
      await root.batch(() => {
        for (const { revision, changes } of commits) {
          const record = take(undoSize(changes));
          writeUndo(record, changes);
          void log.put(revisionKey(revision), record);
        }
        for (const [key, entry] of newest) {
          if (entry === undefined) {
            void keys.remove(Buffer.from(key));
            continue;
          }
          const record = take(entrySize(entry));
          writeEntry(record, entry);
          void keys.put(Buffer.from(key), record);
        }
        for (let revision = forgetFrom + 1; revision <= forgetThrough; revision++) void log.remove(revisionKey(revision));
        void meta.put('state', state);
      });
    } catch (error) {
      throw await this.#failure(error);
    }
    this.#state = state;
    // Reads of this turn may have opened a snapshot from before the commit.
    root.resetReadTxn();
  }

  /** The pages that were read are mapped into this process until the environment is closed. That happens at once while nothing is being written. */
  letGo(): void {
    void this.#databases.root.close();
    this.#databases = openDatabases(this.#path);
  }

  async close(): Promise<void> {
    await this.#databases.root.close();
    this.#lock.release();
  }

  /** What to tell of a failed write. Also brings the environment back to work where LMDB gave it up, and makes sure that nothing was written. */
  async #failure(error: unknown): Promise<StoreFailure> {
    const cause = await causeOf(error);
    if (codeOf(cause) === environmentPanic) {
      await this.#databases.root.close();
      this.#databases = openDatabases(this.#path);
    }
    this.#databases.root.resetReadTxn();
    const { revision } = asState(this.#databases.meta.get('state'), this.#path);
    if (revision !== this.#state.revision) this.#broken = new StoreFailure(`the store in ${this.#path} is at an unforeseen revision: restart k8ts`);
    const { bavail, bsize } = await statfs(this.#path);
    const words = bavail * bsize < lowSpaceBytes ? 'no space left on the disk' : wordsOf(cause);
    return new StoreFailure(`writing to ${this.#path} failed: ${words}`, { cause });
  }
}

/** lmdb-js brings the process down on a file that is not its own, so the head of the file is looked at first: page header, then LMDB's magic number. */
function assertLmdbFile(path: string): void {
  const head = Buffer.alloc(lmdbMagicOffset + lmdbMagic.length);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw error;
  }
  let read: number;
  try {
    read = readSync(file, head);
  } finally {
    closeSync(file);
  }
  if (read === 0 || head.subarray(lmdbMagicOffset).equals(lmdbMagic)) return;
  throw new StoreFailure(`${path} is damaged or not a k8ts store: restore it from a copy, or choose another data directory`);
}

function openDatabases(path: string): Databases {
  assertLmdbFile(join(path, 'data.mdb'));
  const root = open<unknown, string>({
    path,
    noSubdir: false,
    maxDbs: 4,
    mapSize: initialMapBytes,
    overlappingSync: false,
    // Our batches are batches already. The extra one lmdb-js would put around them has a promise that nobody can catch when it fails.
    eventTurnBatching: false,
    encoding: 'json',
  });
  const meta = root.openDB<unknown, string>({ name: 'meta', encoding: 'json' });
  const keys = root.openDB<Buffer, Buffer>({ name: 'keys', encoding: 'binary', keyEncoding: 'binary' });
  const log = root.openDB<Buffer, Buffer>({ name: 'log', encoding: 'binary', keyEncoding: 'binary' });
  return { root, meta, keys, log };
}

function startOf(prefix: string, after: string | undefined): Buffer {
  const first = Buffer.from(prefix);
  if (after === undefined) return first.length > 0 ? first : Buffer.from([0]);
  const next = Buffer.from(`${after}\0`);
  return Buffer.compare(next, first) > 0 ? next : first;
}

function asState(value: unknown, path: string): State {
  if (typeof value === 'object' && value && 'revision' in value && 'oldestRevision' in value) {
    const { revision, oldestRevision } = value;
    if (typeof revision === 'number' && typeof oldestRevision === 'number') return { revision, oldestRevision };
  }
  throw new StoreFailure(`the data in ${path} is damaged: it does not say its revision`);
}

/** lmdb-js rejects with a general word at once and with the cause a moment later. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && 'commitError' in error && error.commitError instanceof Promise)) return error;
  try {
    await error.commitError;
  } catch (cause) {
    return cause;
  }
  return error;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
