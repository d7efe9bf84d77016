/** One probe of one running container: carried out every so often, and settled when it passed or failed often enough in a row. Upstream: a prober worker. */
import type { V1Probe } from '../api/types.ts';
import type { Clock, Timer } from '../world/world.ts';

/**
 * `problem` is absent when all is well, otherwise `failed: …` or `errored …`. A probe that could not be carried out (a runtime that is being restarted) says
 * nothing of the container: it counts neither way, as upstream.
 */
export interface ProbeAttempt {
  readonly problem?: string;
  readonly isKnown: boolean;
}

export interface ProbeWorkerOptions {
  readonly clock: Clock;
  readonly probe: V1Probe;
  /** When the container started. */
  readonly firstMs: number;
  readonly attempt: () => Promise<ProbeAttempt>;
  /** Of every attempt. */
  readonly told: (attempt: ProbeAttempt) => void;
  /** So often in a row it went the same way. */
  readonly settled: (ok: boolean) => void;
}

export class ProbeWorker {
  readonly #options: ProbeWorkerOptions;
  #stopped = false;
  #timer: Timer | undefined;
  #successes = 0;
  #failures = 0;

  constructor(options: ProbeWorkerOptions) {
    this.#options = options;
    this.#schedule(options.firstMs + (options.probe.initialDelaySeconds ?? 0) * 1000);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(atMs: number): void {
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(0, atMs - clock.now()), () => void this.#round());
  }

  async #round(): Promise<void> {
    const { clock, probe, attempt, told } = this.#options;
    const { periodSeconds = 10 } = probe;
    const startMs = clock.now();
    const outcome = await attempt();
    if (this.#stopped) return;
    told(outcome);
    if (outcome.isKnown) this.#count(outcome.problem === undefined);
    if (!this.#stopped) this.#schedule(startMs + periodSeconds * 1000);
  }

  #count(ok: boolean): void {
    const { probe, settled } = this.#options;
    const { successThreshold = 1, failureThreshold = 3 } = probe;
    this.#successes = ok ? this.#successes + 1 : 0;
    this.#failures = ok ? 0 : this.#failures + 1;
    if (ok && this.#successes >= successThreshold) settled(true);
    if (!ok && this.#failures >= failureThreshold) settled(false);
  }
}
