/**
 * What a job does next: which pods to make, to end and to count, and how it stands. A pure function of what the caches hold. Upstream's `syncJob`:
 * pods that ended keep a finalizer until the job's status has them by uid, so that each is counted exactly once whatever crashes in between.
 */
import type { Job, Pod } from '../../api/kinds.ts';
import type { V1JobStatus } from '../../api/types.ts';
import { timestamp } from '../../world/world.ts';
import { conditionOf, withoutCondition } from '../conditions.ts';
import { isActive, isReady, isTerminating } from '../pods.ts';
import { podsToDelete } from '../replica-set/ranking.ts';
import { type FailureStreak, extendStreak, remainingMs } from './back-off.ts';
import { formatIndexes } from './indexes.ts';
import { type IndexView, planIndexes, viewIndexes } from './index-plan.ts';
import { type NewPod, completionIndexOf, countsAsFailed, finishedMs, isIndexed, isTracked, replacesOnlyFailed } from './job-pods.ts';
import { judgeFailure, matchSuccessPolicy } from './policies.ts';

/** At most so many pods are made or deleted in one pass. */
export const burst = 500;
/** At most so many pods are being counted at a time. */
const maxUncounted = 500;

export interface JobView {
  readonly job: Job;
  /** The job's own, whatever their state. */
  readonly pods: readonly Pod[];
  /** UIDs of pods that were counted and let go, though the cache may show their finalizer still. */
  readonly letGo: ReadonlySet<string>;
  /** As of the pods counted so far. */
  readonly streak: FailureStreak;
  /** Whether the cache shows all that was done before. */
  readonly mayChange: boolean;
  readonly nowMs: number;
}

/** How a job ends, before and after its last pods are gone. */
export interface Ending {
  readonly interim: 'SuccessCriteriaMet' | 'FailureTarget';
  readonly reason: string;
  readonly message: string;
}

export interface JobPlan {
  readonly create: readonly NewPod[];
  /** Ended because they are too many or the job is suspended: they do not count as failed. */
  readonly withdraw: readonly Pod[];
  /** Ended because the job is over. */
  readonly end: readonly Pod[];
  /** To be let go once the status that counts them is written. */
  readonly letGo: readonly Pod[];
  /** With those pods as uncounted, and with pods that exist now, before making and ending any. */
  readonly status: V1JobStatus;
  readonly ending: Ending | undefined;
  readonly streak: FailureStreak;
  /** Set when the suspension began or ended just now. */
  readonly said: 'Suspended' | 'Resumed' | undefined;
  readonly requeueAfterMs: number | undefined;
}

export function planJob(view: JobView): JobPlan {
  const { job, pods, nowMs } = view;
  const now = timestamp(nowMs);
  const { spec } = job;
  const status: V1JobStatus = { ...job.status, conditions: job.status.conditions ?? [] };
  const suspended = spec.suspend === true;
  if (status.startTime === undefined && !suspended) status.startTime = now;

  const uncounted = {
    succeeded: new Set(status.uncountedTerminatedPods?.succeeded),
    failed: new Set(status.uncountedTerminatedPods?.failed),
  };
  const tracked = pods.filter((pod) => isTracked(pod) && !view.letGo.has(pod.metadata.uid));
  const isNew = ({ metadata: { uid } }: Pod): boolean => !uncounted.succeeded.has(uid) && !uncounted.failed.has(uid);
  const newSucceeded = tracked.filter((pod) => pod.status.phase === 'Succeeded' && isNew(pod));
  const newFailed = tracked.filter((pod) => countsAsFailed(job, pod) && isNew(pod));
  const verdicts = new Map(newFailed.map((pod) => [pod, judgeFailure(job, pod)]));
  const active = pods.filter(isActive);
  const terminating = pods.filter(isTerminating).length;
  const indexes = isIndexed(job) ? viewIndexes(job, tracked, active, verdicts) : undefined;
  const succeeded = indexes ? indexes.succeeded.size : (status.succeeded ?? 0) + uncounted.succeeded.size + newSucceeded.length;
  const failed = (status.failed ?? 0) + uncounted.failed.size + [...verdicts.values()].filter(({ counts }) => counts).length;
  const streak = extendStreak(
    view.streak,
    newSucceeded.map((pod) => finishedMs(pod, nowMs)),
    newFailed.filter((pod) => verdicts.get(pod)?.counts).map((pod) => finishedMs(pod, nowMs)),
  );

  let ending = endingSoFar(status) ?? failureOf(job, status, pods, failed, indexes, verdicts, nowMs) ?? policySuccess(job, indexes);
  const waits: number[] = [];
  const deadline = deadlineMs(job, status);
  if (!ending && deadline !== undefined) waits.push(deadline - nowMs);

  let create: readonly NewPod[] = [];
  let withdraw: readonly Pod[] = [];
  let end: readonly Pod[] = [];
  let said: JobPlan['said'];
  let letGoUncounted: readonly Pod[] = [];
  if (ending) {
    if (view.mayChange) end = active;
    // Those that were still at it when enough had succeeded are neither successes nor failures.
    if (ending.interim === 'SuccessCriteriaMet')
      letGoUncounted = tracked.filter((pod) => pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed');
  } else if (view.mayChange && job.metadata.deletionTimestamp === undefined) {
    const change = planPods(view, { active, terminating, succeeded, streak, indexes });
    ({ create, withdraw } = change);
    if (change.waitMs > 0) waits.push(change.waitMs);
    const enough = spec.completions === undefined ? succeeded > 0 : succeeded >= spec.completions;
    if (enough && active.length === withdraw.length && create.length === 0) {
      ending = { interim: 'SuccessCriteriaMet', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' };
    } else said = suspension(status, suspended, now);
  }

  const holdBack = new Set(indexes?.delayed.values());
  const letGo: Pod[] = [];
  for (const pod of tracked) {
    if (letGo.length >= maxUncounted) break;
    const over = pod.status.phase === 'Succeeded' || countsAsFailed(job, pod) || job.metadata.deletionTimestamp !== undefined;
    const swept = ending?.interim === 'FailureTarget' && view.mayChange;
    if ((!over && !swept && !letGoUncounted.includes(pod)) || (holdBack.has(pod) && !ending)) continue;
    letGo.push(pod);
    if (!isNew(pod) || letGoUncounted.includes(pod)) continue;
    if (pod.status.phase === 'Succeeded') {
      if (!indexes) uncounted.succeeded.add(pod.metadata.uid);
    } else if (countsAsFailed(job, pod) || swept) {
      const index = completionIndexOf(pod);
      const valid = !indexes || (index !== undefined && index < (spec.completions ?? 0));
      if (valid && (verdicts.get(pod)?.counts ?? true)) uncounted.failed.add(pod.metadata.uid);
    }
  }

  status.active = active.length;
  status.ready = active.filter(isReady).length;
  status.terminating = terminating;
  status.uncountedTerminatedPods = {
    ...(uncounted.succeeded.size > 0 && { succeeded: [...uncounted.succeeded] }),
    ...(uncounted.failed.size > 0 && { failed: [...uncounted.failed] }),
  };
  if (indexes) {
    status.succeeded = indexes.succeeded.size;
    status.completedIndexes = formatIndexes(indexes.succeeded);
    if (indexes.failed) status.failedIndexes = formatIndexes(indexes.failed);
  }
  if (ending && !conditionOf(status.conditions, ending.interim)) {
    status.conditions = [...(status.conditions ?? []), jobCondition(ending.interim, 'True', ending.reason, ending.message, now)];
  }
  return {
    create,
    withdraw,
    end,
    letGo,
    status,
    ending: view.mayChange ? ending : undefined,
    streak,
    said,
    requeueAfterMs: waits.length === 0 ? undefined : Math.max(1, Math.min(...waits)),
  };
}

/** The status after the pods were let go: counted are those that have no finalizer any more. */
export function countLetGo(status: V1JobStatus, stillTracked: ReadonlySet<string>): V1JobStatus {
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {};
  const keep = (uids: readonly string[]): string[] => uids.filter((uid) => stillTracked.has(uid));
  const [left, leftFailed] = [keep(succeeded), keep(failed)];
  const newSucceeded = (status.succeeded ?? 0) + succeeded.length - left.length;
  const newFailed = (status.failed ?? 0) + failed.length - leftFailed.length;
  return {
    ...status,
    ...(newSucceeded > 0 && { succeeded: newSucceeded }),
    ...(newFailed > 0 && { failed: newFailed }),
    uncountedTerminatedPods: { ...(left.length > 0 && { succeeded: left }), ...(leftFailed.length > 0 && { failed: leftFailed }) },
  };
}

/** The status of a job that is over: every pod is counted and gone. The same status while it is not. */
export function finish(status: V1JobStatus, ending: Ending | undefined, now: string): V1JobStatus {
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {};
  if (!ending || succeeded.length + failed.length > 0 || (status.active ?? 0) > 0 || (status.terminating ?? 0) > 0) return status;
  const type = ending.interim === 'SuccessCriteriaMet' ? 'Complete' : 'Failed';
  return {
    ...status,
    conditions: [...(status.conditions ?? []), jobCondition(type, 'True', ending.reason, ending.message, now)],
    ...(type === 'Complete' && { completionTime: now }),
  };
}

export function finishedCondition(job: Job): NonNullable<V1JobStatus['conditions']>[0] | undefined {
  return job.status.conditions?.find(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True');
}

function jobCondition(type: string, status: string, reason: string, message: string, now: string): NonNullable<V1JobStatus['conditions']>[0] {
  return { type, status, reason, message, lastProbeTime: now, lastTransitionTime: now };
}

/** Decided in an earlier pass; what was decided is not taken back. */
function endingSoFar({ conditions }: V1JobStatus): Ending | undefined {
  for (const interim of ['SuccessCriteriaMet', 'FailureTarget'] as const) {
    const condition = conditionOf(conditions, interim);
    if (condition?.status === 'True') return { interim, reason: condition.reason ?? '', message: condition.message ?? '' };
  }
  return undefined;
}

function failureOf(
  job: Job,
  status: V1JobStatus,
  pods: readonly Pod[],
  failed: number,
  indexes: IndexView | undefined,
  verdicts: ReadonlyMap<Pod, ReturnType<typeof judgeFailure>>,
  nowMs: number,
): Ending | undefined {
  const fail = (reason: string, message: string): Ending => ({ interim: 'FailureTarget', reason, message });
  for (const { action, message } of verdicts.values()) if (action === 'FailJob') return fail('PodFailurePolicy', message ?? '');
  const { spec } = job;
  if (failed > (spec.backoffLimit ?? 6) || restartsExhausted(job, pods))
    return fail('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  const deadline = deadlineMs(job, status);
  if (deadline !== undefined && nowMs >= deadline) return fail('DeadlineExceeded', 'Job was active longer than specified deadline');
  if (!indexes?.failed) return undefined;
  if (spec.maxFailedIndexes !== undefined && indexes.failed.size > spec.maxFailedIndexes) {
    return fail('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes');
  }
  const decided = indexes.failed.size + indexes.succeeded.size >= (spec.completions ?? 0);
  return indexes.failed.size > 0 && decided ? fail('FailedIndexes', 'Job has failed indexes') : undefined;
}

function policySuccess(job: Job, indexes: IndexView | undefined): Ending | undefined {
  const message = indexes && matchSuccessPolicy(job, indexes.succeeded);
  return message === undefined ? undefined : { interim: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message };
}

/** Pods that restart their containers themselves never fail: their restarts count. */
function restartsExhausted({ spec }: Job, pods: readonly Pod[]): boolean {
  if (spec.template.spec?.restartPolicy !== 'OnFailure') return false;
  let restarts = 0;
  for (const { status } of pods) {
    if (status.phase !== 'Running' && status.phase !== 'Pending') continue;
    for (const { restartCount } of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) restarts += restartCount;
  }
  const limit = spec.backoffLimit ?? 6;
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

function deadlineMs({ spec }: Job, { startTime }: V1JobStatus): number | undefined {
  if (spec.activeDeadlineSeconds === undefined || startTime === undefined || spec.suspend === true) return undefined;
  return Date.parse(startTime) + spec.activeDeadlineSeconds * 1000;
}

interface Standing {
  readonly active: readonly Pod[];
  readonly terminating: number;
  readonly succeeded: number;
  readonly streak: FailureStreak;
  readonly indexes: IndexView | undefined;
}

function planPods(
  { job, pods, nowMs }: JobView,
  { active, terminating, succeeded, streak, indexes }: Standing,
): { create: readonly NewPod[]; withdraw: readonly Pod[]; waitMs: number } {
  const { parallelism = 1, completions, suspend, backoffLimitPerIndex } = job.spec;
  const surplus = indexes?.surplus ?? [];
  if (suspend === true) return { create: [], withdraw: active.slice(0, burst), waitMs: 0 };
  // A work queue: once one pod has succeeded no more are made, and those that run are left to finish.
  let wanted: number;
  if (completions === undefined) wanted = succeeded > 0 ? active.length : parallelism;
  else wanted = Math.max(0, Math.min(completions - succeeded, parallelism));
  const others = active.filter((pod) => !surplus.includes(pod));
  const tooMany = others.length > wanted ? podsToDelete(others, active, others.length - wanted, nowMs) : [];
  const withdraw = [...surplus, ...tooMany].slice(0, burst);
  if (withdraw.length > 0) return { create: [], withdraw, waitMs: 0 };

  const missing = wanted - active.length - (replacesOnlyFailed(job) ? terminating : 0);
  if (missing <= 0) return { create: [], withdraw, waitMs: 0 };
  const waitMs = backoffLimitPerIndex === undefined ? remainingMs(streak, nowMs) : 0;
  if (waitMs > 0) return { create: [], withdraw, waitMs };
  const count = Math.min(missing, burst);
  if (!indexes) return { create: Array.from({ length: count }, () => ({})), withdraw, waitMs: 0 };
  return { withdraw, ...planIndexes(job, indexes, active, pods, count, nowMs) };
}

/** Writes the condition into the status; answers what there is to say when it changed. */
function suspension(status: V1JobStatus, suspended: boolean, now: string): 'Suspended' | 'Resumed' | undefined {
  const wanted = suspended ? 'True' : 'False';
  const condition = conditionOf(status.conditions, 'Suspended');
  if (condition ? condition.status === wanted : !suspended) return undefined;
  const next = suspended
    ? jobCondition('Suspended', 'True', 'JobSuspended', 'Job suspended', now)
    : jobCondition('Suspended', 'False', 'JobResumed', 'Job resumed', now);
  status.conditions = [...withoutCondition(status.conditions, 'Suspended'), next];
  // The time it may be active for counts from when it is resumed.
  if (suspended) delete status.startTime;
  else status.startTime = now;
  return suspended ? 'Suspended' : 'Resumed';
}
