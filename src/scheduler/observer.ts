/** What happens in the scheduler, told as it happens: for metrics. Whoever listens decides what to count; the scheduler counts nothing for it. */

export type AttemptResult = 'scheduled' | 'unschedulable' | 'error';

/** Upstream's names of the extension points that are timed; `preFilter` is a part of filtering here, and `preScore` of scoring. */
export type TimedPoint = 'Filter' | 'PostFilter' | 'Score' | 'Reserve' | 'Permit' | 'PreBind' | 'Bind' | 'PostBind';

export interface SchedulerObserver {
  /** A pod came to wait in one of the three places, and why: upstream's event, such as `BackoffComplete`. */
  incoming(queue: 'active' | 'backoff' | 'unschedulable', event: string): void;
  /** An attempt is over; one that found a node, when the pod is bound. */
  attempted(result: AttemptResult, profile: string, tookMs: number): void;
  /** A node was found; binding comes later. */
  decided(tookMs: number): void;
  /** A pod has its node, after so many attempts, so long after the first began. */
  bound(attempts: number, sinceFirstMs: number): void;
  /** No node would do: it is looked whether removing pods helps. */
  preempts(): void;
  /** It does. */
  evicts(victims: number): void;
  ran(point: TimedPoint, profile: string, succeeded: boolean, tookMs: number): void;
}

/** Runs the work and tells how long it took. Passed in where the time is not known. */
export type Stopwatch = <T>(point: TimedPoint, succeeded: (result: T) => boolean, work: () => T) => T;

/** For when nobody wants to know. */
export const untimed: Stopwatch = (_point, _succeeded, work) => work();
