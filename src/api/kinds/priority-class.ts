/** PriorityClass (scheduling.k8s.io/v1): a name for how important pods are. */
import { own } from '../../machinery/own.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { forbiddenField, type FieldError } from '../../machinery/field-error.ts';
import { immutable, oneOf } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1PriorityClass } from '../types.ts';

export type PriorityClass = V1PriorityClass;

export const PriorityClass: Kind<V1PriorityClass> = defineKind<V1PriorityClass>({
  group: 'scheduling.k8s.io',
  kind: 'PriorityClass',
  resource: 'priorityclasses',
  model: 'V1PriorityClass',
  shortNames: ['pc'],
  namespaced: false,
  generation: true,
  defaults(priorityClass) {
    priorityClass.preemptionPolicy ??= 'PreemptLowerPriority';
  },
  validate: (priorityClass, old) => [
    ...validateValue(priorityClass),
    ...oneOf('preemptionPolicy', priorityClass.preemptionPolicy, ['PreemptLowerPriority', 'Never']),
    ...(old === undefined ? [] : immutable('preemptionPolicy', priorityClass.preemptionPolicy, old.preemptionPolicy)),
    ...(old === undefined || old.value === priorityClass.value ? [] : [forbiddenField('value', 'may not be changed in an update.')]),
  ],
  columns: [
    nameColumn,
    column('Value', 'The higher, the sooner scheduled.', ({ value }) => value, { type: 'integer' }),
    column('Global-Default', 'Whether pods without a class get it.', ({ globalDefault }) => globalDefault ?? false, { type: 'boolean' }),
    column('PreemptionPolicy', 'Whether its pods may displace others.', ({ preemptionPolicy }) => preemptionPolicy ?? ''),
    ageColumn,
  ],
});

/** Above this, values are for the system's own classes. */
const highestUserValue = 1_000_000_000;
const systemClasses: Readonly<Record<string, number | undefined>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

function validateValue({ metadata, value = 0 }: V1PriorityClass): FieldError[] {
  if (metadata.name.startsWith('system-')) {
    if (own(systemClasses, metadata.name) === value) return [];
    const why = `priority class names with 'system-' prefix are reserved for system use only. error: ${metadata.name} is not a known system priority class`;
    return [forbiddenField('metadata.name', why)];
  }
  if (value <= highestUserValue) return [];
  return [forbiddenField('value', `maximum allowed value of a user defined priority is ${highestUserValue}`)];
}
