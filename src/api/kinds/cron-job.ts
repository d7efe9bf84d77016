/** CronJob (batch/v1): makes a Job of a template at the times its schedule says. */
import { invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { ageColumn, ageOf, column, containerColumns, nameColumn, selectorText } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { nonNegative, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import type { V1CronJob, V1CronJobSpec } from '../types.ts';
import { validateJobSpec } from './job.ts';

export type CronJob = V1CronJob;

export const CronJob: Kind<V1CronJob> = defineKind<V1CronJob>({
  group: 'batch',
  kind: 'CronJob',
  resource: 'cronjobs',
  model: 'V1CronJob',
  shortNames: ['cj'],
  categories: ['all'],
  generation: true,
  subresources: { status: statusSubresource },
  defaults({ spec }) {
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    spec.jobTemplate ??= {};
    spec.jobTemplate.metadata ??= {};
    spec.jobTemplate.spec ??= { template: {} };
    spec.jobTemplate.spec.template ??= {};
    defaultPodTemplate(spec.jobTemplate.spec.template);
  },
  validate: ({ metadata, spec }) => [...validateName(metadata.name), ...validateSpec('spec', spec)],
  columns: [
    nameColumn,
    column('Schedule', 'When jobs are made, as cron writes it.', ({ spec }) => spec.schedule),
    column('Timezone', "Whose clock the schedule goes by; the server's when not named.", ({ spec }) => spec.timeZone ?? '<none>'),
    column('Suspend', 'Whether no jobs are made for now.', ({ spec }) => spec.suspend ?? false, { type: 'boolean' }),
    column('Active', 'Jobs that run.', ({ status }) => (status.active ?? []).length, { type: 'integer' }),
    column('Last Schedule', 'How long ago a job was made last.', ({ status }, nowMs) =>
      status.lastScheduleTime === undefined ? '<none>' : ageOf(status.lastScheduleTime, nowMs),
    ),
    ageColumn,
    ...containerColumns<V1CronJob>(({ spec }) => spec.jobTemplate.spec?.template),
    column('Selector', 'How the jobs find their pods.', ({ spec }) => selectorText(spec.jobTemplate.spec?.selector), { wide: true }),
  ],
});

/** Jobs are named after it, with eleven more characters. */
const maxNameLength = 63 - 11;

function validateName(name: string): FieldError[] {
  return name.length > maxNameLength ? [invalidValue('metadata.name', name, `must be no more than ${maxNameLength} characters`)] : [];
}

const cronField = /^(\*|\?|[0-9a-zA-Z]+(-[0-9a-zA-Z]+)?)(\/\d+)?(,(\*|[0-9a-zA-Z]+(-[0-9a-zA-Z]+)?)(\/\d+)?)*$/;
const cronMacro = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly|every \S+)$/;

function validateSpec(field: string, spec: V1CronJobSpec): FieldError[] {
  const errors: FieldError[] = [];
  const fields = spec.schedule.trim().split(/\s+/);
  if (spec.schedule === '') errors.push(required(`${field}.schedule`));
  else if (spec.schedule.includes('TZ'))
    errors.push(invalidValue(`${field}.schedule`, spec.schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'));
  else if (!cronMacro.test(spec.schedule) && (fields.length !== 5 || !fields.every((part) => cronField.test(part)))) {
    const why = fields.length === 5 ? 'not a cron expression' : `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`;
    errors.push(invalidValue(`${field}.schedule`, spec.schedule, why));
  }
  if (spec.timeZone !== undefined && !isTimeZone(spec.timeZone))
    errors.push(invalidValue(`${field}.timeZone`, spec.timeZone, `unknown time zone ${spec.timeZone}`));
  errors.push(
    ...nonNegative(`${field}.startingDeadlineSeconds`, spec.startingDeadlineSeconds),
    ...requiredOneOf(`${field}.concurrencyPolicy`, spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']),
  );
  const job = spec.jobTemplate.spec;
  if (job !== undefined) errors.push(...validateJobSpec(`${field}.jobTemplate.spec`, job));
  if (job?.manualSelector === true) errors.push(invalidValue(`${field}.jobTemplate.spec.manualSelector`, true, 'may not be set'));
  return [
    ...errors,
    ...nonNegative(`${field}.successfulJobsHistoryLimit`, spec.successfulJobsHistoryLimit),
    ...nonNegative(`${field}.failedJobsHistoryLimit`, spec.failedJobsHistoryLimit),
  ];
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name }).format(0);
    return name !== '';
  } catch {
    return false;
  }
}
