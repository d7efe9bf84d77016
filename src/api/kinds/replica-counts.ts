/**
 * What ReplicaSets and ReplicationControllers share: both keep so many pods of a template, and count them. No count is negative, and no part larger than the
 * whole.
 */
import { invalidValue, type FieldError } from '../../machinery/field-error.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { ageColumn, column, containerColumns, nameColumn } from '../columns.ts';
import { scaleSubresource, statusSubresource, workloadScale } from '../define-kind.ts';
import { nonNegative } from '../field-checks.ts';
import type { V1PodTemplateSpec } from '../types.ts';

interface ReplicaCounts {
  readonly replicas: number;
  readonly fullyLabeledReplicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly observedGeneration?: number;
}

export function validateReplicaCounts(field: string, status: ReplicaCounts): FieldError[] {
  const counts = ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'] as const;
  const errors = counts.flatMap((count) => nonNegative(`${field}.${count}`, status[count]));
  for (const part of ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'] as const) {
    if ((status[part] ?? 0) > status.replicas) errors.push(invalidValue(`${field}.${part}`, status[part], 'cannot be greater than status.replicas'));
  }
  if ((status.availableReplicas ?? 0) > (status.readyReplicas ?? 0)) {
    errors.push(invalidValue(`${field}.availableReplicas`, status.availableReplicas, 'cannot be greater than readyReplicas'));
  }
  return errors;
}

interface Replicating extends KubeObject {
  readonly spec: { readonly replicas?: number; readonly template?: V1PodTemplateSpec };
  status: ReplicaCounts;
}

/** Everything but names, defaults and the rules for the spec. */
export function replicating<T extends Replicating>(selector: (object: T) => string) {
  return {
    categories: ['all'],
    generation: true,
    subresources: { scale: scaleSubresource, status: statusSubresource },
    scale: workloadScale,
    prepareForCreate(object: T): void {
      object.status = { replicas: 0 };
    },
    validateStatus: ({ status }: T): FieldError[] => validateReplicaCounts('status', status),
    selectableFields: { 'status.replicas': ({ status }: T) => String(status.replicas) },
    columns: [
      nameColumn,
      column<T>('Desired', 'Pods wanted.', ({ spec }) => spec.replicas ?? 1, { type: 'integer' }),
      column<T>('Current', 'Pods there are.', ({ status }) => status.replicas, { type: 'integer' }),
      column<T>('Ready', 'Pods that are ready.', ({ status }) => status.readyReplicas ?? 0, { type: 'integer' }),
      ageColumn,
      ...containerColumns<T>(({ spec }) => spec.template),
      column<T>('Selector', 'How its pods are found.', selector, { wide: true }),
    ],
  };
}
