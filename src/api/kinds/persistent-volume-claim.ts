/** PersistentVolumeClaim (core/v1): a request for storage. */
import { clone } from '../../machinery/clone.ts';
import { equal } from '../../machinery/equal.ts';
import { forbiddenField, type FieldError } from '../../machinery/field-error.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import { defaultClaim, validateClaimSpec } from './claim-spec.ts';
import type { V1ObjectMeta, V1PersistentVolumeClaim, V1PersistentVolumeClaimSpec, V1PersistentVolumeClaimStatus } from '../types.ts';

export type PersistentVolumeClaim = V1PersistentVolumeClaim;

export const PersistentVolumeClaim: Kind<V1PersistentVolumeClaim> = defineKind<V1PersistentVolumeClaim>({
  kind: 'PersistentVolumeClaim',
  resource: 'persistentvolumeclaims',
  model: 'V1PersistentVolumeClaim',
  shortNames: ['pvc'],
  subresources: { status: statusSubresource },
  defaults: defaultClaim,
  prepareForCreate(claim) {
    claim.status = { phase: 'Pending' };
  },
  validate: ({ spec, status }, old) => [
    ...validateClaimSpec('spec', spec),
    ...(old === undefined ? [] : validateChange('spec', spec, old.spec, status.phase === 'Bound', old.status)),
  ],
  warnings: ({ metadata, spec }) => [
    ...warn.formerAnnotations('metadata.annotations', metadata, warn.storageClassAnnotation),
    ...warn.claimSpec('spec', spec),
  ],
  columns: [
    nameColumn,
    column('Status', 'Whether a volume was found.', ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined ? (status.phase ?? '') : 'Terminating',
    ),
    column('Volume', 'The volume that answers the claim.', ({ spec }) => spec.volumeName ?? ''),
    column('Capacity', 'The size of the volume.', ({ spec, status }) => (isBound(spec) ? (status.capacity?.['storage'] ?? '') : '')),
    column('Access Modes', 'How the volume may be mounted.', ({ spec, status }) => (isBound(spec) ? accessModesText(status.accessModes) : '')),
    column('StorageClass', 'The class of storage asked for.', ({ metadata, spec }) => storageClassOf(metadata, spec.storageClassName)),
    column('VolumeAttributesClass', 'The class of changeable attributes.', ({ spec }) => spec.volumeAttributesClassName ?? '<unset>'),
    ageColumn,
    column('VolumeMode', 'Whether the volume is a file system or a block device.', ({ spec }) => spec.volumeMode ?? '<unset>', { wide: true }),
  ],
});

function isBound(spec: V1PersistentVolumeClaimSpec): boolean {
  return spec.volumeName !== undefined && spec.volumeName !== '';
}

const shortModes: Readonly<Record<string, string>> = { ReadWriteOnce: 'RWO', ReadOnlyMany: 'ROX', ReadWriteMany: 'RWX', ReadWriteOncePod: 'RWOP' };

/** `RWO,ROX`, in upstream's fixed order. */
export function accessModesText(modes: readonly string[] | undefined): string {
  return Object.entries(shortModes)
    .filter(([mode]) => modes?.includes(mode) === true)
    .map(([, short]) => short)
    .join(',');
}

export function storageClassOf(metadata: Pick<V1ObjectMeta, 'annotations'>, name: string | undefined): string {
  return metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? name ?? '';
}

/** A bound claim may grow and change its attributes; otherwise only the controller fills in the volume's name. */
function validateChange(
  field: string,
  spec: V1PersistentVolumeClaimSpec,
  old: V1PersistentVolumeClaimSpec,
  bound: boolean,
  oldStatus: V1PersistentVolumeClaimStatus,
): FieldError[] {
  const same = clone(spec);
  if ((old.volumeName ?? '') === '' && same.volumeName !== undefined) same.volumeName = old.volumeName;
  // A claim without a class may be given the default one later.
  if (old.storageClassName === undefined) delete same.storageClassName;
  if (old.volumeAttributesClassName === undefined) delete same.volumeAttributesClassName;
  if (old.volumeAttributesClassName !== undefined) same.volumeAttributesClassName = old.volumeAttributesClassName;
  if ((old.volumeAttributesClassName ?? '') !== '' && (spec.volumeAttributesClassName ?? '') === '') {
    const to = spec.volumeAttributesClassName === undefined ? 'nil' : 'an empty string';
    return [forbiddenField(`${field}.volumeAttributesClassName`, `update from non-nil value to ${to} is forbidden`)];
  }
  const size = spec.resources?.requests?.['storage'];
  const oldSize = old.resources?.requests?.['storage'];
  if (bound && size !== undefined && oldSize !== undefined) {
    same.resources = { ...same.resources, requests: { ...same.resources?.requests, storage: oldSize } };
    const has = oldStatus.capacity?.['storage'];
    const shrinks = parseQuantity(size).compare(parseQuantity(oldSize)) < 0;
    if (shrinks && has !== undefined && parseQuantity(size).compare(parseQuantity(has)) <= 0) {
      return [forbiddenField(`${field}.resources.requests.storage`, 'field can not be less than status.capacity')];
    }
  }
  const why = 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
  return equal(same, old) ? [] : [forbiddenField(field, why)];
}
