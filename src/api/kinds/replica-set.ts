/** ReplicaSet (apps/v1): keeps so many pods of one template. */
import { invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { ageColumn, column, containerColumns, nameColumn, selectorText } from '../columns.ts';
import { defineKind, scaleSubresource, statusSubresource, workloadScale } from '../define-kind.ts';
import { immutable, isEmptySelector, labelSelector, nonNegative } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validateServingTemplate } from '../pods/validate-template.ts';
import type { V1ReplicaSet, V1ReplicaSetSpec } from '../types.ts';
import { validateReplicaCounts } from './replica-counts.ts';

export type ReplicaSet = V1ReplicaSet;

export const ReplicaSet: Kind<V1ReplicaSet> = defineKind<V1ReplicaSet>({
  group: 'apps',
  kind: 'ReplicaSet',
  resource: 'replicasets',
  model: 'V1ReplicaSet',
  shortNames: ['rs'],
  categories: ['all'],
  generation: true,
  subresources: { scale: scaleSubresource, status: statusSubresource },
  scale: workloadScale,
  defaults({ spec, status }) {
    spec.replicas ??= 1;
    spec.template ??= {};
    defaultPodTemplate(spec.template);
    status.replicas ??= 0;
  },
  prepareForCreate(replicaSet) {
    replicaSet.status = { replicas: 0 };
  },
  validate: ({ spec }, old) => [
    ...validateSpec('spec', spec),
    ...(old === undefined ? [] : immutable('spec.selector', spec.selector, old.spec.selector)),
  ],
  validateStatus: ({ status }) => validateReplicaCounts('status', status),
  selectableFields: { 'status.replicas': ({ status }) => String(status.replicas) },
  columns: [
    nameColumn,
    column('Desired', 'Pods wanted.', ({ spec }) => spec.replicas ?? 1, { type: 'integer' }),
    column('Current', 'Pods there are.', ({ status }) => status.replicas, { type: 'integer' }),
    column('Ready', 'Pods that are ready.', ({ status }) => status.readyReplicas ?? 0, { type: 'integer' }),
    ageColumn,
    ...containerColumns<V1ReplicaSet>(({ spec }) => spec.template),
    column('Selector', 'How the ReplicaSet finds its pods.', ({ spec }) => selectorText(spec.selector), { wide: true }),
  ],
});

function validateSpec(field: string, spec: V1ReplicaSetSpec): FieldError[] {
  const errors = [...nonNegative(`${field}.replicas`, spec.replicas), ...nonNegative(`${field}.minReadySeconds`, spec.minReadySeconds)];
  if (spec.selector === undefined) errors.push(required(`${field}.selector`));
  else {
    errors.push(...labelSelector(`${field}.selector`, spec.selector));
    if (isEmptySelector(spec.selector)) errors.push(invalidValue(`${field}.selector`, spec.selector, 'empty selector is invalid for deployment'));
  }
  return [...errors, ...validateServingTemplate(`${field}.template`, spec.template ?? {}, spec.selector, 'ReplicaSet')];
}
