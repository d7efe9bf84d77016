/** ReplicaSet (apps/v1): keeps so many pods of one template. */
import { invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { selectorText } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { immutable, isEmptySelector, labelSelector, nonNegative } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import { templateWarnings } from '../pods/warnings.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validateServingTemplate } from '../pods/validate-template.ts';
import type { V1ReplicaSet, V1ReplicaSetSpec } from '../types.ts';
import { replicating } from './replica-counts.ts';

export type ReplicaSet = V1ReplicaSet;

export const ReplicaSet: Kind<V1ReplicaSet> = defineKind<V1ReplicaSet>({
  group: 'apps',
  kind: 'ReplicaSet',
  resource: 'replicasets',
  model: 'V1ReplicaSet',
  shortNames: ['rs'],
  ...replicating<V1ReplicaSet>(({ spec }) => selectorText(spec.selector)),
  defaults({ spec, status }) {
    spec.replicas ??= 1;
    spec.template ??= {};
    defaultPodTemplate(spec.template);
    status.replicas ??= 0;
  },
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? warn.hostName(metadata.name, warn.inPodNames) : []),
    ...templateWarnings('spec.template', spec.template),
  ],
  validate: ({ spec }, old) => [
    ...validateSpec('spec', spec),
    ...(old === undefined ? [] : immutable('spec.selector', spec.selector, old.spec.selector)),
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
