/** How long a job waits after failures before it makes pods anew: ten seconds, doubling with each failure in a row, up to ten minutes. */

const firstMs = 10_000;
const longestMs = 10 * 60_000;

export interface FailureStreak {
  /** Failures since the last success. */
  readonly failures: number;
  readonly lastFailureMs: number;
}

export const noFailures: FailureStreak = { failures: 0, lastFailureMs: 0 };

/** Ms from `nowMs` until pods may be made again. */
export function remainingMs({ failures, lastFailureMs }: FailureStreak, nowMs: number): number {
  if (failures === 0) return 0;
  return Math.max(0, lastFailureMs + Math.min(firstMs * 2 ** (failures - 1), longestMs) - nowMs);
}

/** The streak with pods that ended since: a success ends it, failures after that begin another. */
export function extendStreak(streak: FailureStreak, succeededMs: readonly number[], failedMs: readonly number[]): FailureStreak {
  const lastSuccess = succeededMs.length === 0 ? undefined : Math.max(...succeededMs);
  const since = lastSuccess === undefined ? failedMs : failedMs.filter((at) => at > lastSuccess);
  const before = lastSuccess === undefined ? streak.failures : 0;
  if (since.length === 0) return lastSuccess === undefined ? streak : noFailures;
  return { failures: before + since.length, lastFailureMs: Math.max(streak.lastFailureMs, ...since) };
}
