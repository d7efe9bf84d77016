/** How long a daemon set waits before it tries a node again whose kubelet refused the last pod: a second, doubling up to a quarter of an hour. */

const firstMs = 1000;
const longestMs = 15 * 60_000;

interface Failures {
  readonly pauseMs: number;
  readonly lastMs: number;
}

export class FailedPodBackOff {
  private readonly failures = new Map<string, Failures>();

  /** Ms until the next try; 0 when it may be now. */
  waitMs(key: string, nowMs: number): number {
    const known = this.failures.get(key);
    return known ? Math.max(0, known.lastMs + known.pauseMs - nowMs) : 0;
  }

  /** A node that did well for twice the longest pause starts over. */
  failed(key: string, nowMs: number): void {
    for (const [other, { lastMs }] of this.failures) if (nowMs - lastMs > 2 * longestMs) this.failures.delete(other);
    const known = this.failures.get(key);
    this.failures.set(key, { pauseMs: Math.min(known ? known.pauseMs * 2 : firstMs, longestMs), lastMs: nowMs });
  }
}
