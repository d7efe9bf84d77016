/**
 * A queue of keys to work on, with client-go's guarantees: a key is in the queue once however often it is added; no two workers have the same key;
 * a key added while it is worked on comes again when that is done. Failing keys come back after a pause that doubles each time.
 */
import type { Timer, World } from '../world/world.ts';

export interface WorkQueueOptions {
  /** Pause after the first failure; 5 ms when absent. */
  readonly baseDelayMs?: number;
  /** Longest pause; 1000 s when absent. */
  readonly maxDelayMs?: number;
  readonly observer?: QueueObserver;
}

/** Told what becomes of keys, for those who count. */
export interface QueueObserver {
  /** The key waits for a worker, who may have it at once. */
  added(key: string): void;
  taken(key: string): void;
  done(key: string): void;
  /** It failed, and comes back later. */
  retried(key: string): void;
}

interface Delayed {
  readonly atMs: number;
  readonly timer: Timer;
}

/** Bounded by the number of different keys, which is that of the objects they name. */
export class WorkQueue {
  readonly #world: Pick<World, 'clock'>;
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #observer: QueueObserver | undefined;
  /** Waiting for a worker, in the order added. */
  readonly #queued = new Set<string>();
  readonly #processing = new Set<string>();
  /** Added while being worked on. */
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  readonly #waiting: ((key: string | undefined) => void)[] = [];
  #closed = false;

  constructor(world: Pick<World, 'clock'>, options: WorkQueueOptions = {}) {
    this.#world = world;
    this.#baseDelayMs = options.baseDelayMs ?? 5;
    this.#maxDelayMs = options.maxDelayMs ?? 1_000_000;
    this.#observer = options.observer;
  }

  /** Keys waiting for a worker. */
  get length(): number {
    return this.#queued.size;
  }

  add(key: string): void {
    if (this.#closed) return;
    if (this.#processing.has(key)) {
      this.#again.add(key);
      return;
    }
    if (this.#queued.has(key)) return;
    this.#observer?.added(key);
    const worker = this.#waiting.shift();
    if (worker) {
      this.#processing.add(key);
      this.#observer?.taken(key);
      worker(key);
    } else {
      this.#queued.add(key);
    }
  }

  /** Adds after `ms`; of several pending additions of a key the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (!(ms > 0)) {
      this.add(key);
      return;
    }
    const atMs = this.#world.clock.now() + ms;
    const pending = this.#delayed.get(key);
    if (pending) {
      if (pending.atMs <= atMs) return;
      pending.timer.cancel();
    }
    const timer = this.#world.clock.after(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { atMs, timer });
  }

  /** Adds after a pause that doubles with each call for the key until it is forgotten. */
  addRateLimited(key: string): void {
    if (this.#closed) return;
    this.#observer?.retried(key);
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, Math.min(this.#baseDelayMs * 2 ** failures, this.#maxDelayMs));
  }

  /** The key succeeded, or is given up: its next failure counts as the first. Does not take it out of the queue. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** How often the key was rate limited since it was last forgotten. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, once there is one; undefined when the queue is closed or the signal aborts. Whoever gets a key calls {@link done} with it. */
  get(signal?: AbortSignal): Promise<string | undefined> {
    if (this.#closed || signal?.aborted) return Promise.resolve(undefined);
    for (const key of this.#queued) {
      this.#queued.delete(key);
      this.#processing.add(key);
      this.#observer?.taken(key);
      return Promise.resolve(key);
    }
    return new Promise((resolve) => {
      const give = (key: string | undefined): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve(key);
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(give), 1);
        resolve(undefined);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(give);
    });
  }

  done(key: string): void {
    this.#processing.delete(key);
    this.#observer?.done(key);
    if (this.#again.delete(key)) this.add(key);
  }

  /** Forgets what waits, cancels delays and sends all waiting workers home. What is being worked on ends by itself. */
  close(): void {
    this.#closed = true;
    for (const { timer } of this.#delayed.values()) timer.cancel();
    this.#delayed.clear();
    this.#queued.clear();
    this.#again.clear();
    this.#failures.clear();
    for (const give of this.#waiting.splice(0)) give(undefined);
  }
}
