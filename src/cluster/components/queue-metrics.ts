/** What happens in the queues of controllers, under client-go's names: `workqueue_depth`, `workqueue_work_duration_seconds` and so on. */
import { type Exposition, Histogram, labelText } from '../../machinery/exposition.ts';
import type { QueueObserver } from '../../client/work-queue.ts';
import type { Clock } from '../../world/world.ts';

/** Ten nanoseconds to a thousand seconds, as upstream. */
const bounds = Array.from({ length: 12 }, (_, power) => Number(`1e${power - 8}`));

/** Where upstream's queue is not named as its controller is, without the last word. */
const queueNames: Readonly<Record<string, string>> = {
  'clusterrole-aggregation-controller': 'ClusterRoleAggregator',
  'endpoints-controller': 'endpoint',
  'endpointslice-controller': 'endpoint_slice',
  'endpointslice-mirroring-controller': 'endpoint_slice_mirroring',
  'garbage-collector-controller': 'garbage_collector_attempt_to_delete',
  'horizontal-pod-autoscaler-controller': 'horizontalpodautoscaler',
  'node-lifecycle-controller': 'node_lifecycle_controller',
  'persistentvolume-protection-controller': 'pvprotection',
  'persistentvolumeclaim-protection-controller': 'pvcprotection',
  'replicationcontroller-controller': 'replicationmanager',
  'resourceclaim-controller': 'resource_claim',
  'resourcequota-controller': 'resourcequota_primary',
  'root-ca-certificate-publisher-controller': 'root_ca_cert_publisher',
  'service-lb-controller': 'service',
  'serviceaccount-token-controller': 'serviceaccount_tokens_secret',
  'taint-eviction-controller': 'noexec_taint_pod',
  'token-cleaner-controller': 'token_cleaner',
  'ttl-after-finished-controller': 'ttl_jobs_to_delete',
  'ttl-controller': 'ttlcontroller',
};

class QueueCounts implements QueueObserver {
  readonly labels: string;
  readonly waited = new Histogram(bounds);
  readonly worked = new Histogram(bounds);
  readonly #clock: Clock;
  /** Since when keys wait or are worked on, in epoch ms. */
  readonly #waiting = new Map<string, number>();
  readonly #working = new Map<string, number>();
  adds = 0;
  retries = 0;

  constructor(controller: string, clock: Clock) {
    this.labels = labelText({ name: queueNames[controller] ?? controller.replace(/-controller$/, '').replaceAll('-', '_') });
    this.#clock = clock;
  }

  added(key: string): void {
    this.adds++;
    this.#waiting.set(key, this.#clock.now());
  }

  taken(key: string): void {
    const now = this.#clock.now();
    this.waited.observe((now - (this.#waiting.get(key) ?? now)) / 1000);
    this.#waiting.delete(key);
    this.#working.set(key, now);
  }

  done(key: string): void {
    const now = this.#clock.now();
    this.worked.observe((now - (this.#working.get(key) ?? now)) / 1000);
    this.#working.delete(key);
  }

  retried(): void {
    this.retries++;
  }

  get depth(): number {
    return this.#waiting.size;
  }

  /** Of keys that are worked on now: how long already, in seconds, together and the longest. */
  unfinished(): { readonly total: number; readonly longest: number } {
    const now = this.#clock.now();
    let [total, longest] = [0, 0];
    for (const since of this.#working.values()) {
      const seconds = (now - since) / 1000;
      total += seconds;
      longest = Math.max(longest, seconds);
    }
    return { total, longest };
  }
}

export class QueueMetrics {
  readonly #clock: Clock;
  readonly #queues: QueueCounts[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  observe(controller: string): QueueObserver {
    const counts = new QueueCounts(controller, this.#clock);
    this.#queues.push(counts);
    return counts;
  }

  render(out: Exposition): void {
    const all = (name: string, type: 'counter' | 'gauge', help: string, value: (queue: QueueCounts) => number): void => {
      out.family(name, type, help);
      for (const queue of this.#queues) out.value(name, queue.labels, value(queue));
    };
    const histogram = (name: string, help: string, value: (queue: QueueCounts) => Histogram): void => {
      out.family(name, 'histogram', help);
      for (const queue of this.#queues) out.histogram(name, queue.labels, value(queue));
    };
    all('workqueue_adds_total', 'counter', 'Keys added.', (queue) => queue.adds);
    all('workqueue_depth', 'gauge', 'Keys that wait.', (queue) => queue.depth);
    all(
      'workqueue_longest_running_processor_seconds',
      'gauge',
      'How long the oldest piece of work has been going on.',
      (queue) => queue.unfinished().longest,
    );
    histogram('workqueue_queue_duration_seconds', 'How long keys waited.', (queue) => queue.waited);
    all('workqueue_retries_total', 'counter', 'Keys that failed and came back.', (queue) => queue.retries);
    all('workqueue_unfinished_work_seconds', 'gauge', 'How long all work that is not done has been going on.', (queue) => queue.unfinished().total);
    histogram('workqueue_work_duration_seconds', 'How long work on keys took.', (queue) => queue.worked);
  }
}
