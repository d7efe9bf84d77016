/** What the service proxy counts while it works; upstream's names for it stand where it is shown (`cluster/components/proxy-pages.ts`). */
import { Histogram } from '../machinery/exposition.ts';

/** Upstream's: 1 ms, doubled up to 16 s. */
const syncBounds = Array.from({ length: 15 }, (_, index) => 0.001 * 2 ** index);
const programmingBounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60];

export class ProxyMetrics {
  /** Seconds a transaction took, with what was computed for it. */
  readonly syncs = new Histogram(syncBounds);
  /** Seconds from a change heard of to the rules that say it. */
  readonly programming = new Histogram(programmingBounds);
  serviceChanges = 0;
  endpointChanges = 0;
  failures = 0;
  lastSyncMs = 0;
  lastQueuedMs = 0;
}
