/** PodDisruptionBudget (policy/v1): how many pods of a set may be evicted at a time. */
import { invalidValue, type FieldError } from '../../machinery/field-error.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { atMostHundredPercent, labelSelector, nonNegative, nonNegativeIntOrPercent, oneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1PodDisruptionBudget, V1PodDisruptionBudgetSpec } from '../types.ts';

export type PodDisruptionBudget = V1PodDisruptionBudget;

const noStatus = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };

export const PodDisruptionBudget: Kind<V1PodDisruptionBudget> = defineKind<V1PodDisruptionBudget>({
  group: 'policy',
  kind: 'PodDisruptionBudget',
  resource: 'poddisruptionbudgets',
  model: 'V1PodDisruptionBudget',
  shortNames: ['pdb'],
  generation: true,
  subresources: { status: statusSubresource },
  defaults(budget) {
    budget.status = { ...noStatus, ...budget.status };
  },
  prepareForCreate(budget) {
    budget.status = { ...noStatus };
  },
  validate: ({ spec }) => validateSpec('spec', spec),
  validateStatus: ({ status }) =>
    (['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const).flatMap((count) =>
      nonNegative(`status.${count}`, status[count]),
    ),
  columns: [
    nameColumn,
    column('Min Available', 'Pods that must stay.', ({ spec }) => String(spec.minAvailable ?? 'N/A')),
    column('Max Unavailable', 'Pods that may be missing.', ({ spec }) => String(spec.maxUnavailable ?? 'N/A')),
    column('Allowed Disruptions', 'Pods that may be evicted now.', ({ status }) => status.disruptionsAllowed, { type: 'integer' }),
    ageColumn,
  ],
});

function validateSpec(field: string, spec: V1PodDisruptionBudgetSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined)
    errors.push(invalidValue(field, spec, 'minAvailable and maxUnavailable cannot be both set'));
  for (const name of ['minAvailable', 'maxUnavailable'] as const) {
    errors.push(...nonNegativeIntOrPercent(`${field}.${name}`, spec[name]), ...atMostHundredPercent(`${field}.${name}`, spec[name]));
  }
  return [
    ...errors,
    ...oneOf(`${field}.unhealthyPodEvictionPolicy`, spec.unhealthyPodEvictionPolicy, ['AlwaysAllow', 'IfHealthyBudget']),
    ...labelSelector(`${field}.selector`, spec.selector),
  ];
}
