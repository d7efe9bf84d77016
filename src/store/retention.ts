/** How much of the past is kept: by count, and by age where a clock is there. Decides how far each batch may forget, in steps that keep batches short. */
import type { Clock } from '../world/world.ts';

export interface History {
  /** Older revisions are compacted as new ones come. */
  readonly revisions: number;
  /** So are those older than this, when a later commit comes; unlimited when absent. */
  readonly ageMs?: number;
}

/** How much of the log one batch may forget beyond what it adds. */
export const maxForgottenPerBatch = 2_000;
const ageSampleMs = 1_000;

export class Retention {
  readonly #history: History;
  readonly #clock: Clock | undefined;
  /** Where the log should begin; batches work towards it. */
  #target: number;
  /** Which revision was the newest at which time, oldest first: how age is turned into a revision. */
  #ages: { readonly atMs: number; readonly revision: number }[] = [];

  constructor(history: History, clock: Clock | undefined, oldestRevision: number) {
    this.#history = history;
    this.#clock = clock;
    this.#target = oldestRevision;
  }

  /** How far a batch of so many commits may forget: what is no longer to be kept, within the bound. */
  forgetThrough(commits: number, durableRevision: number, oldestRevision: number): number {
    this.#target = Math.max(this.#target, durableRevision - this.#history.revisions);
    if (this.#history.ageMs !== undefined && this.#clock) {
      const limitMs = this.#clock.now() - this.#history.ageMs;
      let old = 0;
      for (let sample = this.#ages[0]; sample && sample.atMs <= limitMs; sample = this.#ages[++old]) {
        this.#target = Math.max(this.#target, sample.revision);
      }
      this.#ages = this.#ages.slice(old);
    }
    return Math.min(this.#target, oldestRevision + commits + maxForgottenPerBatch);
  }

  /** Remembers when the revision was the newest. */
  sample(durableRevision: number): void {
    if (this.#history.ageMs === undefined || !this.#clock) return;
    const nowMs = this.#clock.now();
    const last = this.#ages.at(-1);
    if (last && nowMs - last.atMs < Math.max(ageSampleMs, this.#history.ageMs / 1_000)) return;
    this.#ages.push({ atMs: nowMs, revision: durableRevision });
  }
}
