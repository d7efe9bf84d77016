/** Rates of counters: each reading with the one before it. */

/** A shorter time gives noise: until it is over, the rate is the last one. */
const shortestMs = 1_000;

export class Rates {
  readonly #last = new Map<string, { timeMs: number; nanoseconds: number; rate: number | undefined }>();

  /** Billionths of a core since the reading before; undefined for the first, and for a counter that began anew. */
  next(key: string, timeMs: number, nanoseconds: number): number | undefined {
    const last = this.#last.get(key);
    if (last !== undefined && timeMs - last.timeMs < shortestMs) return last.rate;
    const rate =
      last === undefined || nanoseconds < last.nanoseconds
        ? undefined
        : Math.round(((nanoseconds - last.nanoseconds) * 1000) / (timeMs - last.timeMs));
    this.#last.set(key, { timeMs, nanoseconds, rate });
    return rate;
  }

  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#last.keys()) if (!keys.has(key)) this.#last.delete(key);
  }
}
