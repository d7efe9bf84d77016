/** What a claim for storage says, in a claim of its own, a StatefulSet or a pod's ephemeral volume. */
import { forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsSubdomainErrors } from '../../machinery/names.ts';
import { equal } from '../../machinery/equal.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { labelSelector, oneOf, optionalName } from '../field-checks.ts';
import type { V1TypedObjectReference, V1PersistentVolumeClaimSpec, V1PersistentVolumeClaimStatus } from '../types.ts';

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
  errors.push(
    ...optionalName(`${field}.storageClassName`, spec.storageClassName, dnsSubdomainErrors),
    ...optionalName(`${field}.volumeAttributesClassName`, spec.volumeAttributesClassName, dnsSubdomainErrors),
    ...validateSource(`${field}.dataSource`, spec.dataSource),
    ...validateSource(`${field}.dataSourceRef`, spec.dataSourceRef),
  );
  if (
    spec.dataSource !== undefined &&
    spec.dataSourceRef !== undefined &&
    !equal({ ...spec.dataSource, apiGroup: spec.dataSource.apiGroup ?? '' }, { ...spec.dataSourceRef, apiGroup: spec.dataSourceRef.apiGroup ?? '' })
  )
    errors.push(invalidValue(field, field, 'must match dataSourceRef'));
  return [...errors, ...oneOf(`${field}.volumeMode`, spec.volumeMode, ['Block', 'Filesystem'])];
}

/** What a new volume is filled from: another claim, or an object of some other group. */
function validateSource(field: string, source: V1TypedObjectReference | undefined): FieldError[] {
  if (source === undefined) return [];
  const { apiGroup = '', kind, name } = source;
  const errors: FieldError[] = [];
  if (name === '') errors.push(required(`${field}.name`));
  if (kind === '') errors.push(required(`${field}.kind`));
  if (apiGroup === '') {
    if (kind !== '' && kind !== 'PersistentVolumeClaim')
      errors.push(invalidValue(field, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
    return errors;
  }
  return [...errors, ...optionalName(`${field}.apiGroup`, apiGroup, dnsSubdomainErrors)];
}
