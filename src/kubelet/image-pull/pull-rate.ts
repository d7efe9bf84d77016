/** No more pulls than so many a second, after a first burst: the others wait for their turn. `registryPullQPS` and `registryBurst`. */
import type { Clock } from '../../world/world.ts';

export interface PullRateSettings {
  /** 0 for any number. */
  readonly perSecond: number;
  readonly burst: number;
}

export class PullRate {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #burst: number;
  /** When a pull would be due if all came as slowly as they may. */
  #dueMs = 0;

  constructor(clock: Clock, { perSecond, burst }: PullRateSettings) {
    this.#clock = clock;
    this.#everyMs = perSecond > 0 ? 1000 / perSecond : 0;
    this.#burst = Math.max(1, burst);
  }

  async take(): Promise<void> {
    if (this.#everyMs === 0) return;
    const nowMs = this.#clock.now();
    const dueMs = Math.max(this.#dueMs, nowMs - (this.#burst - 1) * this.#everyMs);
    this.#dueMs = dueMs + this.#everyMs;
    if (dueMs > nowMs) await this.#clock.sleep(dueMs - nowMs);
  }
}
