/** Rules for the counts in the status of ReplicaSets and ReplicationControllers: none is negative, and parts are not larger than the whole. */
import { invalidValue, type FieldError } from '../../machinery/field-error.ts';
import { nonNegative } from '../field-checks.ts';

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
