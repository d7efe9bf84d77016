/** Rules for Jobs and for the templates of Jobs in CronJobs. Follows `pkg/apis/batch/validation`. */
import { clone } from '../../machinery/clone.ts';
import { invalidValue, notSupported, required, tooLong, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors, domainPrefixedPathErrors } from '../../machinery/names.ts';
import { selectorOf } from '../../machinery/selector.ts';
import { immutable, labelSelector, messages, nonNegative, oneOf } from '../field-checks.ts';
import { validatePodTemplate } from '../pods/validate-template.ts';
import type { V1Job, V1JobSpec, V1PodTemplateSpec } from '../types.ts';
import { validateFailurePolicy, validateSuccessPolicy } from './job-policies.ts';

const maxIndexedParallelism = 100_000;
const maxManagedByLength = 63;
/** Beyond so many completions with a limit per index, the other numbers are bounded: each failed index is written into the status. */
const manyCompletions = 100_000;
const maxFailedOfMany = 10_000;

export function validateNewJob(job: V1Job): FieldError[] {
  return [...validateGeneratedSelector(job), ...validateJob('spec', job.spec), ...validatePodNames(job)];
}

export function validateJobUpdate(job: V1Job, old: V1Job): FieldError[] {
  return [...validateJob('spec', job.spec), ...validateChange('spec', job, old)];
}

function validateJob(field: string, spec: V1JobSpec): FieldError[] {
  const errors = validateJobSpec(field, spec);
  if (spec.selector === undefined) return [...errors, required(`${field}.selector`)];
  const wrong = labelSelector(`${field}.selector`, spec.selector);
  const labels = spec.template.metadata?.labels ?? {};
  if (wrong.length === 0 && !selectorOf(spec.selector).matches(labels))
    wrong.push(invalidValue(`${field}.template.metadata.labels`, labels, '`selector` does not match template `labels`'));
  return [...errors, ...wrong];
}

/** A job without `manualSelector` selects by its own uid, whatever else somebody wrote into the selector. */
function validateGeneratedSelector({ metadata, spec }: V1Job): FieldError[] {
  if (spec.manualSelector === true || spec.selector === undefined || labelSelector('', spec.selector).length > 0) return [];
  const own: Record<string, string> = {};
  for (const prefix of ['', 'batch.kubernetes.io/'])
    Object.assign(own, { [`${prefix}controller-uid`]: metadata.uid, [`${prefix}job-name`]: metadata.name });
  return selectorOf(spec.selector).matches(own) ? [] : [invalidValue('spec.selector', spec.selector, '`selector` not auto-generated')];
}

/** Pods of an indexed job have the index in their host name. */
function validatePodNames({ metadata, spec }: V1Job): FieldError[] {
  if (spec.completionMode !== 'Indexed' || spec.completions === undefined || spec.completions <= 0) return [];
  const last = `${metadata.name}-${spec.completions - 1}`;
  return dnsLabelErrors(last).map((why) =>
    invalidValue('metadata.name', metadata.name, `will not able to create pod with invalid DNS label: ${last}: ${why}`),
  );
}

const counts = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
] as const;

export function validateJobSpec(field: string, spec: V1JobSpec): FieldError[] {
  const errors = counts.flatMap((name) => nonNegative(`${field}.${name}`, spec[name]));
  errors.push(
    ...oneOf(`${field}.completionMode`, spec.completionMode, ['Indexed', 'NonIndexed']),
    ...validateIndexes(field, spec),
    ...validateFailurePolicy(`${field}.podFailurePolicy`, spec),
    ...validateSuccessPolicy(`${field}.successPolicy`, spec),
    ...validatePodTemplate(`${field}.template`, spec.template),
    ...oneOf(
      `${field}.podReplacementPolicy`,
      spec.podReplacementPolicy,
      spec.podFailurePolicy === undefined ? ['Failed', 'TerminatingOrFailed'] : ['Failed'],
    ),
  );
  if (spec.managedBy !== undefined) {
    errors.push(...messages(`${field}.managedBy`, spec.managedBy, domainPrefixedPathErrors(spec.managedBy)));
    if (spec.managedBy.length > maxManagedByLength) errors.push(tooLong(`${field}.managedBy`, maxManagedByLength));
  }
  const restart = spec.template.spec?.restartPolicy;
  const path = `${field}.template.spec.restartPolicy`;
  if (restart === 'Always') errors.push(required(path, 'valid values: "OnFailure", "Never"'));
  else if (restart !== 'OnFailure' && restart !== 'Never') errors.push(notSupported(path, restart, ['OnFailure', 'Never']));
  else if (restart !== 'Never' && spec.podFailurePolicy !== undefined) {
    errors.push(invalidValue(path, restart, 'only "Never" is supported when podFailurePolicy is specified'));
  }
  return errors;
}

function validateIndexes(field: string, spec: V1JobSpec): FieldError[] {
  const { completions, parallelism = 0, backoffLimitPerIndex, maxFailedIndexes } = spec;
  const errors: FieldError[] = [];
  if (spec.completionMode === 'Indexed') {
    if (completions === undefined) errors.push(required(`${field}.completions`, 'when completion mode is Indexed'));
    if (parallelism > maxIndexedParallelism) {
      const why = `must be less than or equal to ${maxIndexedParallelism} when completion mode is Indexed`;
      errors.push(invalidValue(`${field}.parallelism`, parallelism, why));
    }
  } else if (backoffLimitPerIndex !== undefined) {
    errors.push(invalidValue(`${field}.backoffLimitPerIndex`, backoffLimitPerIndex, 'requires indexed completion mode'));
  }
  if (maxFailedIndexes !== undefined) {
    if (backoffLimitPerIndex === undefined) errors.push(required(`${field}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
    if (completions !== undefined && maxFailedIndexes > completions)
      errors.push(invalidValue(`${field}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions'));
    if (maxFailedIndexes > manyCompletions)
      errors.push(invalidValue(`${field}.maxFailedIndexes`, maxFailedIndexes, `must be less than or equal to ${manyCompletions}`));
  }
  if (backoffLimitPerIndex === undefined || completions === undefined || completions <= manyCompletions) return errors;
  const when = `when completions are above ${manyCompletions} and used with backoff limit per index`;
  if (maxFailedIndexes === undefined)
    errors.push(required(`${field}.maxFailedIndexes`, `must be specified when completions is above ${manyCompletions}`));
  if (parallelism > maxFailedOfMany)
    errors.push(invalidValue(`${field}.parallelism`, parallelism, `must be less than or equal to ${maxFailedOfMany} ${when}`));
  if (maxFailedIndexes !== undefined && maxFailedIndexes > maxFailedOfMany)
    errors.push(invalidValue(`${field}.maxFailedIndexes`, maxFailedIndexes, `must be less than or equal to ${maxFailedOfMany} ${when}`));
  return errors;
}

function validateChange(field: string, { spec }: V1Job, job: V1Job): FieldError[] {
  const { spec: old } = job;
  const errors: FieldError[] = [];
  // An indexed job may be stretched together with its parallelism.
  if (spec.completionMode !== 'Indexed') errors.push(...immutable(`${field}.completions`, spec.completions, old.completions));
  else if (spec.completions !== old.completions && (spec.completions === undefined || spec.completions !== spec.parallelism))
    errors.push(invalidValue(`${field}.completions`, spec.completions ?? null, `can only be modified in tandem with ${field}.parallelism`));
  for (const name of ['selector', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'] as const)
    errors.push(...immutable(`${field}.${name}`, spec[name], old[name]));
  return [...errors, ...immutable(`${field}.template`, withChangeable(spec.template, job), old.template)];
}

/** A job that has not begun, or was stopped, may still be steered to nodes; one at rest may change what its pods ask for. */
function withChangeable(template: V1PodTemplateSpec, { spec, status }: V1Job): V1PodTemplateSpec {
  const old = spec.template;
  const suspended = status.conditions?.some(({ type, status: holds }) => type === 'Suspended' && holds === 'True') === true;
  const atRest = spec.suspend === true && (suspended || status.startTime === undefined) && (status.active ?? 0) === 0;
  if (!atRest) return template;
  const same = clone(template);
  const restore = (part: object | undefined, before: object | undefined, names: readonly string[]): void => {
    for (const name of names) {
      const value = (before as Readonly<Record<string, unknown>> | undefined)?.[name];
      if (part !== undefined) Object.assign(part, { [name]: value });
    }
  };
  restore(same.metadata, old.metadata, ['labels', 'annotations']);
  restore(same.spec, old.spec, ['nodeSelector', 'affinity', 'tolerations', 'schedulingGates']);
  for (const list of ['containers', 'initContainers'] as const)
    for (const [index, container] of (same.spec?.[list] ?? []).entries()) restore(container, old.spec?.[list]?.[index], ['resources']);
  return same;
}
