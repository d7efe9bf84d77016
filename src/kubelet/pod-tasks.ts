/**
 * What is under way for one pod, by name, and what has to wait after it failed: each task runs by itself and at most once at a time, and waits longer after
 * each failure.
 */
import type { Clock } from '../world/world.ts';
import { SparseMap } from './sparse-map.ts';

const firstHoldMs = 500;
const maxHoldMs = 122_000;

export class PodTasks {
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  readonly #busy = new SparseMap<string, AbortController>();
  readonly #holds = new SparseMap<string, { untilMs: number; delayMs: number }>();

  /** `onEnd` is called whenever a task is over, well or not. */
  constructor(clock: Clock, onEnd: () => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  run(task: string, work: (signal: AbortSignal) => Promise<void>, failed: (error: unknown) => void): void {
    const abort = new AbortController();
    this.#busy.set(task, abort);
    work(abort.signal)
      .then(() => this.#holds.delete(task), failed)
      .finally(() => {
        this.#busy.delete(task);
        this.#onEnd();
      });
  }

  isBusy(task: string): boolean {
    return this.#busy.has(task);
  }

  /** As it is now and goes on to be. */
  busy(): Pick<ReadonlySet<string>, 'has' | 'size'> {
    return this.#busy;
  }

  abortAll(): void {
    for (const task of this.#busy.values()) task.abort();
  }

  /** Not again before some time, longer after each failure unless `delayMs` says how long. */
  hold(task: string, delayMs?: number): void {
    const next = delayMs ?? Math.min((this.#holds.get(task)?.delayMs ?? firstHoldMs / 2) * 2, maxHoldMs);
    this.#holds.set(task, { untilMs: this.#clock.now() + next, delayMs: next });
  }

  /** 0 when it may be tried at once. */
  heldUntilMs(task: string): number {
    return this.#holds.get(task)?.untilMs ?? 0;
  }

  release(task: string): void {
    this.#holds.delete(task);
  }

  releaseAll(): void {
    this.#holds.clear();
  }
}
