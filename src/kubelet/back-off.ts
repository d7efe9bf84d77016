/** Waiting longer after each failure: 10 s doubling to 5 min, forgotten after 10 min without one. For crashes and for image pulls. */
import { SparseMap } from './sparse-map.ts';

export interface BackOffEntry {
  readonly delayMs: number;
  readonly countedAtMs: number;
}

export class BackOff {
  readonly #entries = new SparseMap<string, BackOffEntry>();
  readonly #initialMs: number;
  readonly #maxMs: number;

  constructor(initialMs = 10_000, maxMs = 300_000) {
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
  }

  /** When to try again after a failure at `failedAtMs`; 0 when at once. */
  untilMs(key: string, failedAtMs: number): number {
    const entry = this.#entries.get(key);
    return entry === undefined || this.#isOld(entry, failedAtMs) ? 0 : failedAtMs + entry.delayMs;
  }

  delayMs(key: string): number {
    return this.#entries.get(key)?.delayMs ?? 0;
  }

  /** Counts one more failure. */
  count(key: string, nowMs: number, failedAtMs = nowMs): void {
    const entry = this.#entries.get(key);
    const delayMs = entry === undefined || this.#isOld(entry, failedAtMs) ? this.#initialMs : Math.min(entry.delayMs * 2, this.#maxMs);
    this.#entries.set(key, { delayMs, countedAtMs: nowMs });
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }

  #isOld(entry: BackOffEntry, nowMs: number): boolean {
    return nowMs - entry.countedAtMs > this.#maxMs * 2;
  }
}
