/** How an indexed job's indexes stand, and which get a pod next. With `backoffLimitPerIndex` each index has failures and pauses of its own. */
import type { Job, Pod } from '../../api/kinds.ts';
import { isTerminating } from '../pods.ts';
import { remainingMs } from './back-off.ts';
import { parseIndexes } from './indexes.ts';
import {
  type NewPod,
  completionIndexOf,
  countsAsFailed,
  finishedMs,
  ignoredIndexFailuresOf,
  indexFailuresOf,
  replacesOnlyFailed,
} from './job-pods.ts';
import { type FailureVerdict, judgeFailure } from './policies.ts';

export interface IndexView {
  readonly succeeded: ReadonlySet<number>;
  /** Indexes given up; undefined when the job does not limit failures per index. */
  readonly failed: ReadonlySet<number> | undefined;
  /** The last failed pod of an index that waits for its next pod: it keeps the count of failures until that pod has it. */
  readonly delayed: ReadonlyMap<number, Pod>;
  /** Active pods of an index that has another or is not asked for. */
  readonly surplus: readonly Pod[];
}

export function viewIndexes(job: Job, tracked: readonly Pod[], active: readonly Pod[], verdicts: ReadonlyMap<Pod, FailureVerdict>): IndexView {
  const completions = job.spec.completions ?? 0;
  const indexOf = (pod: Pod): number | undefined => {
    const index = completionIndexOf(pod);
    return index !== undefined && index < completions ? index : undefined;
  };
  const succeeded = parseIndexes(job.status.completedIndexes, completions);
  for (const pod of tracked) {
    const index = indexOf(pod);
    if (index !== undefined && pod.status.phase === 'Succeeded') succeeded.add(index);
  }
  const busy = new Set<number>();
  const surplus: Pod[] = [];
  for (const pod of [...active].sort(readyAndOldestFirst)) {
    const index = indexOf(pod);
    if (index === undefined || busy.has(index)) surplus.push(pod);
    else busy.add(index);
  }
  const limit = job.spec.backoffLimitPerIndex;
  if (limit === undefined) return { succeeded, failed: undefined, delayed: new Map(), surplus };

  const failed = parseIndexes(job.status.failedIndexes, completions);
  const delayed = new Map<number, Pod>();
  const failedPods = tracked.filter((pod) => countsAsFailed(job, pod));
  for (const pod of failedPods) {
    const index = indexOf(pod);
    if (index === undefined || succeeded.has(index)) continue;
    const { action, counts } = verdicts.get(pod) ?? judgeFailure(job, pod);
    if (action === 'FailIndex' || (counts && indexFailuresOf(pod) >= limit)) failed.add(index);
  }
  for (const pod of failedPods) {
    const index = indexOf(pod);
    if (index === undefined || succeeded.has(index) || failed.has(index) || busy.has(index)) continue;
    const other = delayed.get(index);
    if (!other || totalFailures(other) <= totalFailures(pod)) delayed.set(index, pod);
  }
  return { succeeded, failed, delayed, surplus };
}

/** The lowest indexes without a pod, at most `count`; those in a pause of their own come later. */
export function planIndexes(
  job: Job,
  { succeeded, failed, delayed }: IndexView,
  active: readonly Pod[],
  pods: readonly Pod[],
  count: number,
  nowMs: number,
): { create: readonly NewPod[]; waitMs: number } {
  const taken = new Set(active.map(completionIndexOf));
  if (replacesOnlyFailed(job)) for (const pod of pods) if (isTerminating(pod)) taken.add(completionIndexOf(pod));
  const create: NewPod[] = [];
  let waitMs = 0;
  for (let index = 0; index < (job.spec.completions ?? 0) && create.length < count; index++) {
    if (taken.has(index) || succeeded.has(index) || failed?.has(index)) continue;
    if (job.spec.backoffLimitPerIndex === undefined) {
      create.push({ index });
      continue;
    }
    const last = delayed.get(index);
    if (!last) {
      create.push({ index, failures: 0 });
      continue;
    }
    const ignored = !judgeFailure(job, last).counts;
    const failures = indexFailuresOf(last) + (ignored ? 0 : 1);
    const ignoredFailures = ignoredIndexFailuresOf(last) + (ignored ? 1 : 0);
    const pauseMs = remainingMs({ failures: failures + ignoredFailures, lastFailureMs: finishedMs(last, nowMs) }, nowMs);
    if (pauseMs > 0) waitMs = waitMs === 0 ? pauseMs : Math.min(waitMs, pauseMs);
    else create.push({ index, failures, ignoredFailures });
  }
  return { create, waitMs };
}

function totalFailures(pod: Pod): number {
  return indexFailuresOf(pod) + ignoredIndexFailuresOf(pod);
}

/** Which of several pods of one index stays. */
function readyAndOldestFirst(a: Pod, b: Pod): number {
  const rank = (pod: Pod): number => (pod.status.phase === 'Running' ? 0 : pod.spec.nodeName ? 1 : 2);
  return (
    rank(a) - rank(b) ||
    Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp) ||
    (a.metadata.name < b.metadata.name ? -1 : 1)
  );
}
