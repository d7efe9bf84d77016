/**
 * What a cron job does next: which job to start, which to end, which to forget. A pure function of what the caches hold. Upstream's `syncCronJob`.
 */
import type { CronJob, Job } from '../../api/kinds.ts';
import type { V1CronJobStatus, V1ObjectReference } from '../../api/types.ts';
import type { Draft } from '../../machinery/object.ts';
import { timestamp } from '../../world/world.ts';
import { finishedCondition } from '../job/plan.ts';
import { controllerReference } from '../pods.ts';
import { type Schedule, parseSchedule } from './schedule.ts';
import { timeZone, zonedTimestamp } from './time-zone.ts';

export const scheduledTimestampAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';

export interface CronEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export interface CronPlan {
  /** Finished jobs beyond the history limits. */
  readonly forget: readonly Job[];
  /** Running jobs that the next one replaces. */
  readonly replace: readonly Job[];
  readonly start: { readonly draft: Draft<Job>; readonly scheduledMs: number } | undefined;
  readonly status: V1CronJobStatus;
  readonly events: readonly CronEvent[];
  readonly requeueAfterMs: number | undefined;
}

export function planCronJob(cronJob: CronJob, jobs: readonly Job[], nowMs: number): CronPlan {
  const events: CronEvent[] = [];
  const say = (type: CronEvent['type'], reason: string, message: string): void => void events.push({ type, reason, message });
  const status = reviewJobs(cronJob, jobs, say);
  const forget = beyondHistory(cronJob, jobs);
  const rest = { forget, replace: [], start: undefined, status, events, requeueAfterMs: undefined };
  const { spec } = cronJob;
  if (cronJob.metadata.deletionTimestamp !== undefined) return rest;

  let schedule: Schedule;
  try {
    timeZone(spec.timeZone ?? 'UTC');
  } catch {
    say('Warning', 'UnknownTimeZone', `invalid timeZone: ${JSON.stringify(spec.timeZone)}: unknown time zone ${spec.timeZone}`);
    return rest;
  }
  if (spec.suspend === true) return rest;
  try {
    schedule = parseSchedule(spec.schedule, spec.timeZone);
  } catch (error) {
    say('Warning', 'UnparseableSchedule', `unparseable schedule: ${JSON.stringify(spec.schedule)} : ${error instanceof Error ? error.message : ''}`);
    return rest;
  }

  const nextMs = schedule.next(nowMs);
  const later = { ...rest, requeueAfterMs: nextMs === undefined ? undefined : nextMs - nowMs };
  const due = mostRecentDue(cronJob, schedule, nowMs);
  if (due.missed > 100) {
    say('Warning', 'TooManyMissedTimes', 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew');
  }
  const scheduledMs = due.atMs;
  if (scheduledMs === undefined) return later;
  const deadlineMs = spec.startingDeadlineSeconds;
  if (deadlineMs !== undefined && scheduledMs + deadlineMs * 1000 < nowMs) {
    say('Warning', 'MissSchedule', `Missed scheduled time to start a job: ${longTime(scheduledMs, spec.timeZone)}`);
    return later;
  }
  const name = `${cronJob.metadata.name}-${Math.floor(scheduledMs / 60_000)}`;
  const alreadyStarted = status.lastScheduleTime !== undefined && Date.parse(status.lastScheduleTime) === scheduledMs;
  if (alreadyStarted || status.active?.some((reference) => reference.name === name)) return later;

  const active = status.active ?? [];
  if (spec.concurrencyPolicy === 'Forbid' && active.length > 0) {
    say('Normal', 'JobAlreadyActive', 'Not starting job because prior execution is running and concurrency policy is Forbid');
    return later;
  }
  const replaced = spec.concurrencyPolicy === 'Replace' ? active.map(({ uid }) => uid) : [];
  return {
    ...later,
    replace: jobs.filter(({ metadata }) => replaced.includes(metadata.uid)),
    start: { draft: jobFromTemplate(cronJob, name, scheduledMs), scheduledMs },
  };
}

/** Brings the list of active jobs up to date, and says what changed. */
function reviewJobs(
  cronJob: CronJob,
  jobs: readonly Job[],
  say: (type: CronEvent['type'], reason: string, message: string) => void,
): V1CronJobStatus {
  let active = cronJob.status.active ?? [];
  let lastSuccess = cronJob.status.lastSuccessfulTime;
  const inList = (uid: string): boolean => active.some((reference) => reference.uid === uid);
  for (const job of jobs) {
    const finished = finishedCondition(job);
    if (!finished && !inList(job.metadata.uid)) {
      say('Warning', 'UnexpectedJob', `Saw a job that the controller did not create or forgot: ${job.metadata.name}`);
    } else if (finished && inList(job.metadata.uid)) {
      active = active.filter(({ uid }) => uid !== job.metadata.uid);
      say('Normal', 'SawCompletedJob', `Saw completed job: ${job.metadata.name}, condition: ${finished.type}`);
    }
    const completed = job.status.completionTime;
    if (finished?.type === 'Complete' && completed !== undefined && (lastSuccess === undefined || Date.parse(completed) > Date.parse(lastSuccess))) {
      lastSuccess = completed;
    }
  }
  const known = new Set(jobs.map(({ metadata }) => metadata.uid));
  for (const { uid, name } of active) if (uid === undefined || !known.has(uid)) say('Normal', 'MissingJob', `Active job went missing: ${name}`);
  active = active.filter(({ uid }) => uid !== undefined && known.has(uid));
  return {
    ...(active.length > 0 && { active }),
    ...(cronJob.status.lastScheduleTime !== undefined && { lastScheduleTime: cronJob.status.lastScheduleTime }),
    ...(lastSuccess !== undefined && { lastSuccessfulTime: lastSuccess }),
  };
}

function beyondHistory({ spec }: CronJob, jobs: readonly Job[]): Job[] {
  const oldest = (type: string, limit: number | undefined): Job[] => {
    if (limit === undefined) return [];
    const finished = jobs.filter((job) => finishedCondition(job)?.type === type && job.metadata.deletionTimestamp === undefined);
    return finished.sort(startedFirst).slice(0, Math.max(0, finished.length - limit));
  };
  return [...oldest('Complete', spec.successfulJobsHistoryLimit), ...oldest('Failed', spec.failedJobsHistoryLimit)];
}

function startedFirst(a: Job, b: Job): number {
  const at = ({ status, metadata }: Job): number => Date.parse(status.startTime ?? metadata.creationTimestamp);
  return at(a) - at(b) || (a.metadata.name < b.metadata.name ? -1 : 1);
}

/** The last time that has come since the last start, and how many came. A long-forgotten cron job starts once, not for every time it missed. */
export function mostRecentDue({ metadata, spec, status }: CronJob, schedule: Schedule, nowMs: number): { atMs: number | undefined; missed: number } {
  let earliest = Date.parse(status.lastScheduleTime ?? metadata.creationTimestamp);
  if (spec.startingDeadlineSeconds !== undefined) earliest = Math.max(earliest, nowMs - spec.startingDeadlineSeconds * 1000);
  const first = schedule.next(earliest);
  if (first === undefined || first > nowMs) return { atMs: undefined, missed: 0 };
  const second = schedule.next(first);
  if (second === undefined || second > nowMs) return { atMs: first, missed: 1 };
  const estimate = Math.floor((nowMs - first) / (second - first)) + 1;
  // Look for the latest from a little before now; the further back, the more must be tried.
  let from = Math.max(earliest, nowMs - 2 * (second - first));
  let at = schedule.next(from);
  while ((at === undefined || at > nowMs) && from > earliest) {
    from = Math.max(earliest, nowMs - 4 * (nowMs - from));
    at = schedule.next(from);
  }
  for (let next = at; next !== undefined && next <= nowMs; next = schedule.next(next)) at = next;
  return { atMs: at ?? first, missed: estimate };
}

function jobFromTemplate(cronJob: CronJob, name: string, scheduledMs: number): Draft<Job> {
  const { metadata = {}, spec } = cronJob.spec.jobTemplate;
  const zone = timeZone(cronJob.spec.timeZone ?? 'UTC');
  return {
    metadata: {
      name,
      namespace: cronJob.metadata.namespace,
      ...(metadata.labels && { labels: metadata.labels }),
      annotations: { ...metadata.annotations, [scheduledTimestampAnnotation]: zonedTimestamp(scheduledMs, zone) },
      ownerReferences: [controllerReference(cronJob)],
    },
    spec: spec ?? { template: {} },
  };
}

export function referenceTo(job: Job): V1ObjectReference {
  const { name, namespace, uid, resourceVersion } = job.metadata;
  return { apiVersion: job.apiVersion, kind: job.kind, name, namespace, uid, resourceVersion };
}

/** The status once the job runs. */
export function started(status: V1CronJobStatus, job: Job, scheduledMs: number): V1CronJobStatus {
  return { ...status, active: [...(status.active ?? []), referenceTo(job)], lastScheduleTime: timestamp(scheduledMs) };
}

/** As Go's RFC1123Z writes it. */
function longTime(epochMs: number, zoneName: string | undefined): string {
  const zone = timeZone(zoneName ?? 'UTC');
  const { year, month, day, hour, minute } = zone.local(epochMs);
  const words = new Date(Date.UTC(year, month - 1, day, hour, minute, Math.floor(epochMs / 1000) % 60)).toUTCString().replace(' GMT', '');
  return `${words} ${zone.offset(epochMs) === 'Z' ? '+0000' : zone.offset(epochMs).replace(':', '')}`;
}
