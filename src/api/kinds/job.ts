/** Job (batch/v1): runs pods of a template until enough of them succeed. */
import { humanDuration } from '../../machinery/duration.ts';
import { parseTime } from '../../machinery/time.ts';
import { ageColumn, column, containerColumns, nameColumn, selectorText } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { nonNegative } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import { templateWarnings } from '../pods/warnings.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validateJobUpdate, validateNewJob } from './job-rules.ts';
import type { V1Job, V1JobStatus } from '../types.ts';

export type Job = V1Job;

const tooManyIndexes =
  'In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail';

const prefix = 'batch.kubernetes.io/';

export const Job: Kind<V1Job> = defineKind<V1Job>({
  group: 'batch',
  kind: 'Job',
  resource: 'jobs',
  model: 'V1Job',
  categories: ['all'],
  generation: true,
  subresources: { status: statusSubresource },
  defaults({ metadata, spec }) {
    // Neither given: one pod, once. Only parallelism given: a work queue.
    if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
    spec.parallelism ??= 1;
    spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2147483647;
    spec.completionMode ??= 'NonIndexed';
    spec.suspend ??= false;
    spec.manualSelector ??= false;
    for (const rule of spec.podFailurePolicy?.rules ?? []) for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
    spec.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed';
    spec.template ??= {};
    defaultPodTemplate(spec.template);
    if (Object.keys(metadata.labels ?? {}).length === 0 && spec.template.metadata?.labels !== undefined)
      metadata.labels = { ...spec.template.metadata.labels };
  },
  prepareForCreate(job) {
    job.status = {};
    if (job.spec.manualSelector === true) return;
    generateSelector(job);
    if (Object.keys(job.metadata.labels ?? {}).length === 0) job.metadata.labels = { ...job.spec.template.metadata?.labels };
  },
  validate: (job, old) => (old === undefined ? validateNewJob(job) : validateJobUpdate(job, old)),
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? warn.hostName(metadata.name, 'the Pod names and hostname') : []),
    ...templateWarnings('spec.template', spec.template),
    ...(spec.completionMode === 'Indexed' && (spec.completions ?? 0) > 100_000 && (spec.parallelism ?? 0) > 10_000 ? [tooManyIndexes] : []),
  ],
  validateStatus: ({ status }) =>
    (['active', 'succeeded', 'failed', 'ready', 'terminating'] as const).flatMap((count) => nonNegative(`status.${count}`, status[count])),
  selectableFields: { 'status.successful': ({ status }) => String(status.succeeded ?? 0) },
  columns: [
    nameColumn,
    column('Status', 'How the job goes.', ({ metadata, status }) => statusText(metadata.deletionTimestamp !== undefined, status)),
    column('Completions', 'Pods that succeeded, of those wanted.', completionsText),
    column('Duration', 'How long the job took, or has taken so far.', durationText),
    ageColumn,
    ...containerColumns<V1Job>(({ spec }) => spec.template),
    column('Selector', 'How the Job finds its pods.', ({ spec }) => selectorText(spec.selector), { wide: true }),
  ],
});

/** A label no other job's pods have: the job's uid. */
function generateSelector({ metadata, spec }: V1Job): void {
  spec.template.metadata ??= {};
  const labels = (spec.template.metadata.labels ??= {});
  labels['job-name'] ??= metadata.name;
  labels['controller-uid'] = metadata.uid;
  labels[`${prefix}job-name`] ??= metadata.name;
  labels[`${prefix}controller-uid`] = metadata.uid;
  spec.selector ??= {};
  spec.selector.matchLabels ??= {};
  spec.selector.matchLabels[`${prefix}controller-uid`] ??= metadata.uid;
}

function statusText(deleted: boolean, { conditions }: V1JobStatus): string {
  const holds = (type: string): boolean => conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  if (deleted) return 'Terminating';
  if (holds('Suspended')) return 'Suspended';
  if (holds('FailureTarget')) return 'FailureTarget';
  return holds('SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running';
}

function completionsText({ spec, status }: V1Job): string {
  if (spec.completions !== undefined) return `${status.succeeded ?? 0}/${spec.completions}`;
  const parallelism = spec.parallelism ?? 0;
  return parallelism > 1 ? `${status.succeeded ?? 0}/1 of ${parallelism}` : `${status.succeeded ?? 0}/1`;
}

function durationText({ status }: V1Job, nowMs: number): string {
  if (status.startTime === undefined) return '';
  const end = status.completionTime === undefined ? nowMs : parseTime(status.completionTime);
  return humanDuration(end - parseTime(status.startTime));
}
