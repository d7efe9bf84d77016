/**
 * How long is waited before a pod that failed is replaced once more: not at all the first time, then a second, doubling up to a quarter of an hour.
 * Without it a pod whose kubelet refuses it would be made and refused as fast as the machine can. Upstream has it for daemon sets; there, the other
 * controllers are only held back by how many requests a second their client may make.
 */

const firstMs = 1000;
const usualLongestMs = 15 * 60_000;

interface Failures {
  readonly pauseMs: number;
  readonly lastMs: number;
}

export class FailedPodBackOff {
  private readonly failures = new Map<string, Failures>();
  private readonly longestMs: number;

  constructor(longestMs = usualLongestMs) {
    this.longestMs = longestMs;
  }

  /** Ms until the next try; 0 when it may be now. */
  waitMs(key: string, nowMs: number): number {
    const known = this.failures.get(key);
    return known ? Math.max(0, known.lastMs + known.pauseMs - nowMs) : 0;
  }

  /** A key that did well for twice the longest pause starts over. */
  failed(key: string, nowMs: number): void {
    for (const [other, { lastMs }] of this.failures) if (nowMs - lastMs > 2 * this.longestMs) this.failures.delete(other);
    const known = this.failures.get(key);
    this.failures.set(key, { pauseMs: Math.min(known ? known.pauseMs * 2 : firstMs, this.longestMs), lastMs: nowMs });
  }
}
