/** What a claim for storage says, in a claim of its own, a StatefulSet or a pod's ephemeral volume. */
import { forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsSubdomainErrors } from '../../machinery/names.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { labelSelector, messages, oneOf } from '../field-checks.ts';
import type { V1PersistentVolumeClaimSpec, V1PersistentVolumeClaimStatus } from '../types.ts';

/** For claims of their own and for those inside a StatefulSet. */
export function defaultClaim(claim: { spec?: V1PersistentVolumeClaimSpec; status?: V1PersistentVolumeClaimStatus }): void {
  claim.status ??= {};
  claim.status.phase ??= 'Pending';
  claim.spec ??= {};
  claim.spec.volumeMode ??= 'Filesystem';
  claim.spec.resources ??= {};
}

export const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

export function validateClaimSpec(field: string, spec: V1PersistentVolumeClaimSpec): FieldError[] {
  const errors: FieldError[] = [];
  const modes = spec.accessModes ?? [];
  if (modes.length === 0) errors.push(required(`${field}.accessModes`, 'at least 1 access mode is required'));
  errors.push(...labelSelector(`${field}.selector`, spec.selector));
  for (const mode of modes) errors.push(...oneOf(`${field}.accessModes`, mode, accessModes));
  if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
    errors.push(forbiddenField(`${field}.accessModes`, 'may not use ReadWriteOncePod with other access modes'));
  }
  const size = spec.resources?.requests?.['storage'];
  if (size === undefined) errors.push(required(`${field}.resources[storage]`));
  else if (parseQuantity(size).compare(Quantity.zero) <= 0)
    errors.push(invalidValue(`${field}.resources[storage]`, size, 'must be greater than zero'));
  if (spec.storageClassName !== undefined && spec.storageClassName !== '') {
    errors.push(...messages(`${field}.storageClassName`, spec.storageClassName, dnsSubdomainErrors(spec.storageClassName)));
  }
  return [...errors, ...oneOf(`${field}.volumeMode`, spec.volumeMode, ['Block', 'Filesystem'])];
}
