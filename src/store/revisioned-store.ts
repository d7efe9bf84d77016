/**
 * The store over any {@link Medium}: guards, revisions, pipelining, watchers, history and expiry, as etcd's mvcc has them above bbolt.
 *
 * A commit is judged at once against the index of the newest *accepted* revision of every key, durable or not, so that commits can follow one
 * another without waiting. What is accepted while a batch is being written goes into the next batch as one. Reads and watchers see durable
 * commits only: until a key's commit is durable, `#inFlight` remembers what the key was.
 */
import type { Clock, Log } from '../world/world.ts';
import { Expiry } from './expiry.ts';
import { compareKeys } from './key-order.ts';
import type { AppliedChange, AppliedCommit, Entry, Medium, UndoRecord } from './medium.ts';
import { replayed, withCovered } from './past-states.ts';
import { RecentEvents } from './recent-events.ts';
import { type History, maxForgottenPerBatch, Retention } from './retention.ts';
import {
  type Change,
  Compacted,
  Conflict,
  FutureRevision,
  type Guard,
  type KeyValue,
  type Operation,
  type RangeOptions,
  type RangeResult,
  type Store,
  type StoreEvent,
  StoreFailure,
} from './store.ts';
import { Watchers } from './watchers.ts';

export interface StoreOptions {
  /** Expires keys and ages history; without one keys do not expire. */
  readonly clock?: Clock;
  readonly log?: Log;
  /** 20,000 revisions when absent. */
  readonly history?: History;
  /** Events kept in memory for watchers that resume: 2,000 and 16 MiB when absent. */
  readonly recentEvents?: number;
  readonly recentBytes?: number;
}

/** A key touched by commits not yet durable. */
interface InFlight {
  /** What readers see. */
  durable: Entry | undefined;
  /** What the next commit will find. */
  latest: Entry | undefined;
  latestRevision: number;
}

/** A commit on its way to the medium. Without changes (nothing to do, or a guard that failed against a commit under way) it waits its turn and writes nothing. */
interface Pending {
  readonly applied: AppliedCommit;
  readonly bytes: number;
  readonly compactTo: number | undefined;
  readonly refusal: Conflict | undefined;
  readonly resolve: (revision: number) => void;
  readonly reject: (error: Error) => void;
}

const maxBatchCommits = 2_000;
const maxBatchBytes = 32 * 1024 * 1024;
/** More than this waiting means the medium stands still; better to refuse than to fill the memory. */
const maxPendingBytes = 256 * 1024 * 1024;
/** Reading so many leaves much of the medium in memory that may not be needed again. */
const manyKeys = 10_000;

export class RevisionedStore implements Store {
  readonly #medium: Medium;
  readonly #retention: Retention;
  readonly #log: Log | undefined;
  /** Key to the revision that last put it, as of the newest accepted commit; absent keys are absent. */
  readonly #index = new Map<string, number>();
  readonly #inFlight = new Map<string, InFlight>();
  readonly #watchers: Watchers;
  readonly #recent: RecentEvents;
  readonly #expiry: Expiry;
  #durableRevision: number;
  #acceptedRevision: number;
  #oldestRevision: number;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(medium: Medium, options: StoreOptions = {}) {
    this.#medium = medium;
    this.#log = options.log;
    this.#watchers = new Watchers(options.log);
    this.#expiry = new Expiry(options.clock, {
      isCurrent: ({ key, modRevision }) => this.#index.get(key) === modRevision,
      remove: async ({ key, modRevision }) => {
        await this.commit([{ type: 'delete', key }], [{ key, modRevision }]);
      },
    });
    const loaded = medium.load();
    for (const { key, modRevision, expiresAtMs } of loaded.keys) {
      this.#index.set(key, modRevision);
      if (expiresAtMs !== undefined) this.#expiry.add({ key, modRevision, expiresAtMs });
    }
    this.#durableRevision = loaded.revision;
    this.#acceptedRevision = loaded.revision;
    this.#oldestRevision = loaded.oldestRevision;
    this.#retention = new Retention(options.history ?? { revisions: 20_000 }, options.clock, loaded.oldestRevision);
    this.#recent = new RecentEvents({ events: options.recentEvents ?? 2_000, bytes: options.recentBytes ?? 16 * 1024 * 1024 }, loaded.revision);
    this.#retention.sample(this.#durableRevision);
    this.#expiry.arm();
  }

  revision(): number {
    return this.#durableRevision;
  }

  oldestRevision(): number {
    return this.#oldestRevision;
  }

  async get(key: string, revision?: number): Promise<KeyValue | undefined> {
    this.#assertReadable(revision);
    if (revision !== undefined && revision < this.#durableRevision) {
      for (const { changes } of this.#undoAfter(revision)) for (const change of changes) if (change.key === key) return change.previous;
    }
    return this.#durable(key);
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<RangeResult> {
    const { revision = this.#durableRevision, limit = Infinity, after, countUpTo = Infinity } = options;
    this.#assertReadable(revision);
    const covered = this.#covered(prefix, after, revision);
    const items: KeyValue[] = [];
    let last = after;
    for (const item of withCovered(this.#medium.scan(prefix, after), covered)) {
      if (items.length >= limit) return { revision, items, remaining: this.#count(prefix, last, covered, countUpTo) };
      items.push(item);
      last = item.key;
    }
    return { revision, items, remaining: 0 };
  }

  async each(prefix: string, visit: (item: KeyValue) => void): Promise<number> {
    const revision = this.#durableRevision;
    this.#assertReadable(revision);
    const covered = this.#covered(prefix, undefined, revision);
    let count = 0;
    const visitCounted = (item: KeyValue): void => {
      visit(item);
      count++;
    };
    if (covered.size === 0) this.#medium.each(prefix, visitCounted);
    else for (const item of withCovered(this.#medium.scan(prefix, undefined), covered)) visitCounted(item);
    if (count > manyKeys && this.#writing === undefined) this.#medium.letGo?.();
    return revision;
  }

  commit(operations: readonly Operation[], guards: readonly Guard[] = []): Promise<number> {
    if (this.#closed) return Promise.reject(new StoreFailure('the store is closed'));
    let refusal: Conflict | undefined;
    for (const { key, modRevision } of guards) {
      const actual = this.#index.get(key) ?? 0;
      if (actual === modRevision) continue;
      refusal = new Conflict(key, actual);
      // Against a commit that readers cannot see yet the answer waits, or a caller would read the old state again and spin.
      if (!this.#inFlight.has(key)) return Promise.reject(refusal);
      break;
    }
    let bytes = 0;
    for (const operation of operations) bytes += operation.key.length + (operation.type === 'put' ? operation.value.length : 0);
    if (this.#pendingBytes + bytes > maxPendingBytes) return Promise.reject(new StoreFailure('too many writes are waiting for the disk'));
    let applied: AppliedCommit;
    try {
      applied = refusal ? { revision: this.#acceptedRevision, changes: [] } : this.#accept(operations);
    } catch (error) {
      return Promise.reject(asFailure(error));
    }
    return this.#enqueue(applied, bytes, undefined, refusal);
  }

  async watch(prefix: string, afterRevision: number, onEvent: (event: StoreEvent) => void, signal: AbortSignal): Promise<void> {
    if (this.#closed) throw new StoreFailure('the store is closed');
    if (signal.aborted) return;
    if (afterRevision < this.#oldestRevision) throw new Compacted(this.#oldestRevision);
    // Reading what is past and joining the live ones happen in one turn, so no event is missed or seen twice.
    const past =
      afterRevision < this.#durableRevision
        ? (this.#recent.after(afterRevision) ?? replayed(this.#medium.log(afterRevision, this.#durableRevision), prefix, (key) => this.#durable(key)))
        : [];
    this.#watchers.add(prefix, afterRevision, past, onEvent, signal);
  }

  async compact(revision: number): Promise<void> {
    if (this.#closed) throw new StoreFailure('the store is closed');
    if (revision > this.#durableRevision) throw new FutureRevision(this.#durableRevision);
    // In steps, so that the commits of others are not held up behind one huge transaction.
    while (this.#oldestRevision < revision) {
      const step = Math.min(revision, this.#oldestRevision + maxForgottenPerBatch);
      await this.#enqueue({ revision: this.#acceptedRevision, changes: [] }, 0, step, undefined);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#expiry.stop();
    while (this.#writing) await this.#writing;
    this.#watchers.clear();
    await this.#medium.close();
  }

  // ---- accepting

  /** Gives the operations their revision and notes them in the index, so that the next commit finds them. Either all or, by throwing first, none. */
  #accept(operations: readonly Operation[]): AppliedCommit {
    const revision = this.#acceptedRevision + 1;
    const changes: AppliedChange[] = [];
    for (const [position, operation] of operations.entries()) {
      const { key } = operation;
      // A UTF-16 unit is at most three bytes of UTF-8; few keys need counting.
      if (key === '' || (key.length * 3 > this.#medium.maxKeyBytes && Buffer.byteLength(key) > this.#medium.maxKeyBytes)) {
        throw new TypeError(`the key "${key.slice(0, 100)}" must have between 1 and ${this.#medium.maxKeyBytes} bytes`);
      }
      for (let i = 0; i < position; i++) if (operations[i]?.key === key) throw new TypeError(`key ${key} occurs twice in one commit`);
      const previous = this.#latest(key);
      if (operation.type === 'put') {
        const { value, expiresAtMs } = operation;
        changes.push({
          key,
          previous,
          current: { key, value, createRevision: previous?.createRevision ?? revision, modRevision: revision, expiresAtMs },
        });
      } else if (previous !== undefined) {
        changes.push({ key, previous, current: undefined });
      }
    }
    if (changes.length === 0) return { revision: this.#acceptedRevision, changes };
    this.#acceptedRevision = revision;
    for (const { key, current, previous } of changes) {
      if (current) this.#index.set(key, revision);
      else this.#index.delete(key);
      const inFlight = this.#inFlight.get(key);
      if (inFlight) {
        inFlight.latest = current;
        inFlight.latestRevision = revision;
      } else {
        this.#inFlight.set(key, { durable: previous, latest: current, latestRevision: revision });
      }
    }
    return { revision, changes };
  }

  #latest(key: string): Entry | undefined {
    const inFlight = this.#inFlight.get(key);
    if (inFlight) return inFlight.latest;
    return this.#index.has(key) ? this.#medium.get(key) : undefined;
  }

  #enqueue(applied: AppliedCommit, bytes: number, compactTo: number | undefined, refusal: Conflict | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ applied, bytes, compactTo, refusal, resolve, reject });
      this.#pendingBytes += bytes;
      this.#writing ??= this.#writeAll();
    });
  }

  // ---- writing

  async #writeAll(): Promise<void> {
    // Lets the rest of this turn's commits join the first.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#takeBatch();
      const commits: AppliedCommit[] = [];
      for (const { applied } of batch) if (applied.changes.length > 0) commits.push(applied);
      const oldestBefore = this.#oldestRevision;
      const forgetThrough = this.#forgetThrough(commits.length, batch);
      // From here on the medium may lack what is being forgotten.
      this.#oldestRevision = forgetThrough;
      try {
        if (commits.length > 0 || forgetThrough > oldestBefore) {
          await this.#medium.write({ commits, forgetFrom: oldestBefore, forgetThrough });
        }
      } catch (error) {
        this.#oldestRevision = oldestBefore;
        this.#rollBack([...batch, ...this.#pending], asFailure(error));
        continue;
      }
      this.#acknowledge(batch);
    }
    this.#writing = undefined;
  }

  #takeBatch(): Pending[] {
    let count = 0;
    for (let bytes = 0; count < this.#pending.length && count < maxBatchCommits; count++) {
      bytes += this.#pending[count]?.bytes ?? 0;
      if (bytes > maxBatchBytes && count > 0) break;
    }
    if (count === this.#pending.length) {
      const all = this.#pending;
      this.#pending = [];
      return all;
    }
    return this.#pending.splice(0, count);
  }

  #acknowledge(batch: readonly Pending[]): void {
    for (const pending of batch) {
      this.#pendingBytes -= pending.bytes;
      const { applied } = pending;
      if (applied.changes.length > 0) {
        this.#durableRevision = applied.revision;
        for (const { key, current } of applied.changes) {
          this.#settle(key, current, applied.revision);
          if (current?.expiresAtMs !== undefined) this.#expiry.add({ key, modRevision: current.modRevision, expiresAtMs: current.expiresAtMs });
        }
        const event = eventOf(applied);
        this.#recent.add(event);
        this.#watchers.announce(event);
      }
      if (pending.refusal) pending.reject(pending.refusal);
      else pending.resolve(applied.revision);
    }
    this.#retention.sample(this.#durableRevision);
    this.#expiry.arm();
  }

  #settle(key: string, current: Entry | undefined, revision: number): void {
    const inFlight = this.#inFlight.get(key);
    if (inFlight === undefined) return;
    if (inFlight.latestRevision === revision) this.#inFlight.delete(key);
    else inFlight.durable = current;
  }

  /** The medium refused: all that was accepted on top of what is durable never happened. Revisions given to it will be given again; nobody saw them. */
  #rollBack(lost: readonly Pending[], failure: StoreFailure): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#acceptedRevision = this.#durableRevision;
    for (const [key, { durable }] of this.#inFlight) {
      if (durable === undefined) {
        this.#index.delete(key);
        continue;
      }
      this.#index.set(key, durable.modRevision);
      // It may have been passed over as stale while the lost commit stood in its way.
      if (durable.expiresAtMs !== undefined) this.#expiry.add({ key, modRevision: durable.modRevision, expiresAtMs: durable.expiresAtMs });
    }
    this.#inFlight.clear();
    this.#log?.error('a batch of commits could not be written', { commits: lost.length, error: failure.message });
    for (const { reject } of lost) reject(failure);
    this.#expiry.arm();
  }

  // ---- history

  #assertReadable(revision: number | undefined): void {
    if (this.#closed) throw new StoreFailure('the store is closed');
    if (revision === undefined) return;
    if (revision > this.#durableRevision) throw new FutureRevision(this.#durableRevision);
    if (revision < this.#oldestRevision) throw new Compacted(this.#oldestRevision);
  }

  /** How far this batch may forget: what was asked for, and what retention no longer covers, within the bound. */
  #forgetThrough(commits: number, batch: readonly Pending[]): number {
    let target = this.#retention.forgetThrough(commits, this.#durableRevision, this.#oldestRevision);
    for (const { compactTo = 0 } of batch) target = Math.max(target, compactTo);
    return Math.max(this.#oldestRevision, Math.min(target, this.#durableRevision));
  }

  /** Undoing these, in order, first one per key, takes the newest durable state back to the revision. */
  #undoAfter(revision: number): Iterable<Pick<StoreEvent, 'changes'>> | Iterable<UndoRecord> {
    return this.#recent.after(revision) ?? this.#medium.log(revision, this.#durableRevision);
  }

  /** The keys whose state at the revision is not what the medium shows, with that state. */
  #covered(prefix: string, after: string | undefined, revision: number): Map<string, KeyValue | undefined> {
    const covered = new Map<string, KeyValue | undefined>();
    const concerns = (key: string): boolean => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0);
    if (revision < this.#durableRevision) {
      for (const { changes } of this.#undoAfter(revision)) {
        for (const { key, previous } of changes) if (!covered.has(key) && concerns(key)) covered.set(key, previous);
      }
    }
    for (const [key, { durable }] of this.#inFlight) if (!covered.has(key) && concerns(key)) covered.set(key, durable);
    return covered;
  }

  #count(prefix: string, after: string | undefined, covered: ReadonlyMap<string, KeyValue | undefined>, upTo: number): number {
    let count = 0;
    for (const key of this.#medium.scanKeys(prefix, after)) {
      if (covered.has(key)) continue;
      count++;
      if (count >= upTo) return count;
    }
    for (const [key, value] of covered) if (value && (after === undefined || compareKeys(key, after) > 0)) count++;
    return count;
  }

  #durable(key: string): KeyValue | undefined {
    const inFlight = this.#inFlight.get(key);
    return inFlight ? inFlight.durable : this.#medium.get(key);
  }
}

function eventOf({ revision, changes }: AppliedCommit): StoreEvent {
  return {
    revision,
    changes: changes.map(({ key, current, previous }): Change => {
      if (current) return { type: 'put', key, value: current.value, createRevision: current.createRevision, previous };
      if (previous) return { type: 'delete', key, previous };
      throw new Error(`revision ${revision} deletes ${key}, which was absent`);
    }),
  };
}

function asFailure(error: unknown): StoreFailure | TypeError {
  if (error instanceof StoreFailure || error instanceof TypeError) return error;
  return new StoreFailure(error instanceof Error ? error.message : String(error), { cause: error });
}
