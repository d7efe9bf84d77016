/** CronJob (batch/v1): makes a Job of a template at the times its schedule says. */
import { invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { ageColumn, ageOf, column, containerColumns, nameColumn, selectorText } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { labels, nonNegative, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import { templateWarnings } from '../pods/warnings.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import type { V1CronJob, V1CronJobSpec } from '../types.ts';
import { scheduleFault } from './cron-schedule.ts';
import { validateJobSpec } from './job-rules.ts';

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
  validate: ({ metadata, spec }, old) => [...(old === undefined ? validateName(metadata.name) : []), ...validateSpec('spec', spec, old?.spec)],
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? warn.hostName(metadata.name, warn.inPodNames) : []),
    ...templateWarnings('spec.jobTemplate.spec.template', spec.jobTemplate.spec?.template),
    ...(spec.schedule.includes('TZ') ? ['spec.schedule: cannot use TZ or CRON_TZ in schedule, use timeZone field instead'] : []),
  ],
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

function validateSpec(field: string, spec: V1CronJobSpec, old: V1CronJobSpec | undefined): FieldError[] {
  const errors = [...validateSchedule(`${field}.schedule`, spec, old), ...validateTimeZone(`${field}.timeZone`, spec.timeZone)];
  errors.push(
    ...nonNegative(`${field}.startingDeadlineSeconds`, spec.startingDeadlineSeconds),
    ...requiredOneOf(`${field}.concurrencyPolicy`, spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']),
  );
  const job = spec.jobTemplate.spec;
  const path = `${field}.jobTemplate.spec`;
  errors.push(...labels(`${field}.jobTemplate.labels`, spec.jobTemplate.metadata?.labels));
  if (job !== undefined) errors.push(...validateJobSpec(path, job));
  if (job?.selector !== undefined) errors.push(invalidValue(`${path}.selector`, job.selector, '`selector` will be auto-generated'));
  if (job?.manualSelector === true) errors.push(notSupported(`${path}.manualSelector`, true, ['nil', 'false']));
  return [
    ...errors,
    ...nonNegative(`${field}.successfulJobsHistoryLimit`, spec.successfulJobsHistoryLimit),
    ...nonNegative(`${field}.failedJobsHistoryLimit`, spec.failedJobsHistoryLimit),
  ];
}

function validateSchedule(field: string, { schedule, timeZone }: V1CronJobSpec, old: V1CronJobSpec | undefined): FieldError[] {
  if (schedule === '') return [required(field)];
  const errors: FieldError[] = [];
  const fault = scheduleFault(schedule);
  if (fault !== undefined) errors.push(invalidValue(field, schedule, fault));
  if (!schedule.includes('TZ')) return errors;
  if (timeZone !== undefined) errors.push(invalidValue(field, schedule, 'cannot use both timeZone field and TZ or CRON_TZ in schedule'));
  // It was possible once: what has it may keep it.
  else if (old === undefined || old.schedule !== schedule)
    errors.push(invalidValue(field, schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'));
  return errors;
}

function validateTimeZone(field: string, name: string | undefined): FieldError[] {
  if (name === undefined) return [];
  if (name === '') return [invalidValue(field, name, 'timeZone must be nil or non-empty string')];
  if (name.toLowerCase() === 'local')
    return [invalidValue(field, name, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones')];
  return isTimeZone(name) ? [] : [invalidValue(field, name, `unknown time zone ${name}`)];
}

/** A name of the time zone database; the runtime also knows offsets, which are none. */
function isTimeZone(name: string): boolean {
  if (/^[+-]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name }).format(0);
    return true;
  } catch {
    return false;
  }
}
