/** Job (batch/v1): runs pods of a template until enough of them succeed. */
import { humanDuration } from '../../machinery/duration.ts';
import { equal } from '../../machinery/equal.ts';
import { invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { parseTime } from '../../machinery/time.ts';
import { ageColumn, column, containerColumns, nameColumn, selectorText } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { immutable, labelSelector, nonNegative, oneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validatePodTemplate } from '../pods/validate-template.ts';
import type { V1Job, V1JobSpec, V1JobStatus } from '../types.ts';

export type Job = V1Job;

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
  validate: (job, old) => [
    ...validateJobSpec('spec', job.spec),
    ...validateSelector(job),
    ...(old === undefined ? [] : validateChange('spec', job, old)),
  ],
  validateStatus: ({ status }) => (['active', 'succeeded', 'failed'] as const).flatMap((count) => nonNegative(`status.${count}`, status[count])),
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

export function validateJobSpec(field: string, spec: V1JobSpec): FieldError[] {
  const errors = (
    [
      'parallelism',
      'completions',
      'activeDeadlineSeconds',
      'backoffLimit',
      'ttlSecondsAfterFinished',
      'backoffLimitPerIndex',
      'maxFailedIndexes',
    ] as const
  ).flatMap((name) => nonNegative(`${field}.${name}`, spec[name]));
  errors.push(...oneOf(`${field}.completionMode`, spec.completionMode, ['NonIndexed', 'Indexed']));
  if (spec.completionMode === 'Indexed' && spec.completions === undefined) {
    errors.push(required(`${field}.completions`, 'when completion mode is Indexed'));
  }
  if (spec.completionMode !== 'Indexed' && spec.backoffLimitPerIndex !== undefined) {
    errors.push(invalidValue(`${field}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode'));
  }
  errors.push(...oneOf(`${field}.podReplacementPolicy`, spec.podReplacementPolicy, ['Failed', 'TerminatingOrFailed']));
  errors.push(...labelSelector(`${field}.selector`, spec.selector), ...validatePodTemplate(`${field}.template`, spec.template));
  const restart = spec.template.spec?.restartPolicy;
  const path = `${field}.template.spec.restartPolicy`;
  if (restart === 'Always') errors.push(required(path, 'valid values: "OnFailure", "Never"'));
  else if (restart !== 'OnFailure' && restart !== 'Never') errors.push(notSupported(path, restart, ['OnFailure', 'Never']));
  else if (restart !== 'Never' && spec.podFailurePolicy !== undefined) {
    errors.push(invalidValue(path, restart, 'only "Never" is supported when podFailurePolicy is specified'));
  }
  return errors;
}

function validateSelector({ spec }: V1Job): FieldError[] {
  if (spec.selector === undefined) return [required('spec.selector')];
  const labels = spec.template.metadata?.labels ?? {};
  const fits = Object.entries(spec.selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  return fits ? [] : [invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')];
}

function validateChange(field: string, { spec }: V1Job, { spec: old, status }: V1Job): FieldError[] {
  const errors: FieldError[] = [];
  // An indexed job may be stretched together with its parallelism.
  const elastic = spec.completionMode === 'Indexed' && spec.completions === spec.parallelism;
  if (!elastic) errors.push(...immutable(`${field}.completions`, spec.completions, old.completions));
  for (const name of ['selector', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'] as const) {
    errors.push(...immutable(`${field}.${name}`, spec[name], old[name]));
  }
  const notStarted = old.suspend === true && status.startTime === undefined;
  if (!notStarted && !equal(spec.template, old.template)) errors.push(invalidValue(`${field}.template`, spec.template, 'field is immutable'));
  return errors;
}
