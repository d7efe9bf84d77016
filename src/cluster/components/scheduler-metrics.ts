/** What happens in the scheduler, under upstream's names: `scheduler_schedule_attempts_total`, `scheduler_pending_pods` and so on. */
import { type Exposition, Histogram, labelText } from '../../machinery/exposition.ts';
import type { AttemptResult, SchedulerObserver, TimedPoint } from '../../scheduler/observer.ts';
import type { Scheduler } from '../../scheduler/scheduler.ts';

/** `count` bounds, each so many times the one before. */
function exponential(first: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, power) => Number((first * factor ** power).toPrecision(12)));
}

/** Upstream's. */
const attemptBounds = exponential(0.001, 2, 15);
const pointBounds = exponential(0.0001, 2, 12);
const sliBounds = exponential(0.01, 2, 20);
const triesBounds = exponential(1, 2, 5);
const victimBounds = exponential(1, 2, 7);
/** Upstream counts attempts beyond as this one. */
const mostAttemptsTold = 16;

/** Values by their labels, made when first needed. */
class Series<T> {
  readonly #make: () => T;
  readonly #values = new Map<string, T>();

  constructor(make: () => T) {
    this.#make = make;
  }

  of(labels: Readonly<Record<string, string>>): T {
    const text = labelText(labels);
    let value = this.#values.get(text);
    if (value === undefined) {
      value = this.#make();
      this.#values.set(text, value);
    }
    return value;
  }

  entries(): Iterable<[labels: string, value: T]> {
    return this.#values;
  }
}

const counters = (): Series<{ count: number }> => new Series(() => ({ count: 0 }));
const histograms = (bounds: readonly number[]): Series<Histogram> => new Series(() => new Histogram(bounds));

export class SchedulerMetrics implements SchedulerObserver {
  readonly #incoming = counters();
  readonly #attempts = counters();
  readonly #attemptSeconds = histograms(attemptBounds);
  readonly #algorithmSeconds = new Histogram(attemptBounds);
  readonly #sliSeconds = histograms(sliBounds);
  readonly #tries = new Histogram(triesBounds);
  readonly #victims = new Histogram(victimBounds);
  readonly #pointSeconds = histograms(pointBounds);
  #preemptions = 0;

  incoming(queue: string, event: string): void {
    this.#incoming.of({ event, queue }).count++;
  }

  attempted(result: AttemptResult, profile: string, tookMs: number): void {
    this.#attempts.of({ profile, result }).count++;
    this.#attemptSeconds.of({ profile, result }).observe(tookMs / 1000);
  }

  decided(tookMs: number): void {
    this.#algorithmSeconds.observe(tookMs / 1000);
  }

  bound(attempts: number, sinceFirstMs: number): void {
    this.#tries.observe(attempts);
    this.#sliSeconds.of({ attempts: attempts < mostAttemptsTold ? String(attempts) : `${mostAttemptsTold}+` }).observe(sinceFirstMs / 1000);
  }

  preempts(): void {
    this.#preemptions++;
  }

  evicts(victims: number): void {
    this.#victims.observe(victims);
  }

  ran(point: TimedPoint, profile: string, succeeded: boolean, tookMs: number): void {
    const failure = point === 'Filter' || point === 'PostFilter' ? 'Unschedulable' : 'Error';
    this.#pointSeconds.of({ extension_point: point, profile, status: succeeded ? 'Success' : failure }).observe(tookMs / 1000);
  }

  /** `scheduler` is absent while another leads. */
  render(out: Exposition, scheduler: Pick<Scheduler, 'sizes' | 'gated'> | undefined): void {
    const counts = (name: string, help: string, series: Series<{ count: number }>): void => {
      out.family(name, 'counter', help);
      for (const [labels, { count }] of series.entries()) out.value(name, labels, count);
    };
    const seconds = (name: string, help: string, entries: Iterable<[string, Histogram]>): void => {
      out.family(name, 'histogram', help);
      for (const [labels, histogram] of entries) out.histogram(name, labels, histogram);
    };
    seconds('scheduler_framework_extension_point_duration_seconds', 'How long all plugins of a point took.', this.#pointSeconds.entries());
    if (scheduler) renderPending(out, scheduler);
    seconds('scheduler_pod_scheduling_attempts', 'Attempts until a pod had its node.', [['', this.#tries]]);
    seconds('scheduler_pod_scheduling_sli_duration_seconds', 'From the first attempt until the pod had its node.', this.#sliSeconds.entries());
    out.single('scheduler_preemption_attempts_total', 'counter', 'Times it was looked whether removing pods helps.', this.#preemptions);
    seconds('scheduler_preemption_victims', 'Pods chosen to make room for one.', [['', this.#victims]]);
    counts('scheduler_queue_incoming_pods_total', 'Pods that came to a queue, and why.', this.#incoming);
    counts('scheduler_schedule_attempts_total', 'Attempts, by how they ended.', this.#attempts);
    seconds('scheduler_scheduling_algorithm_duration_seconds', 'How long finding a node took.', [['', this.#algorithmSeconds]]);
    seconds('scheduler_scheduling_attempt_duration_seconds', 'How long attempts took, binding included.', this.#attemptSeconds.entries());
  }
}

function renderPending(out: Exposition, scheduler: Pick<Scheduler, 'sizes' | 'gated'>): void {
  const { active, backoff, unschedulable, 'in-flight': inFlight } = scheduler.sizes();
  const gated = scheduler.gated();
  out.family('scheduler_pending_pods', 'gauge', 'Pods that wait, by queue.');
  const waiting = { active, backoff, gated, unschedulable: unschedulable - gated };
  for (const [queue, count] of Object.entries(waiting)) out.value('scheduler_pending_pods', labelText({ queue }), count);
  out.single('scheduler_inflight_pods', 'gauge', 'Pods that are being tried or bound.', inFlight);
}
