/** StorageClass (storage.k8s.io/v1): a kind of storage, and who makes volumes of it. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { equal } from '../../machinery/equal.ts';
import { forbiddenField, required, type FieldError } from '../../machinery/field-error.ts';
import { immutable, oneOf } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1StorageClass } from '../types.ts';

export type StorageClass = V1StorageClass;

export const StorageClass: Kind<V1StorageClass> = defineKind<V1StorageClass>({
  group: 'storage.k8s.io',
  kind: 'StorageClass',
  resource: 'storageclasses',
  model: 'V1StorageClass',
  shortNames: ['sc'],
  namespaced: false,
  defaults(storageClass) {
    storageClass.reclaimPolicy ??= 'Delete';
    storageClass.volumeBindingMode ??= 'Immediate';
  },
  validate: (storageClass, old) => [
    ...(storageClass.provisioner === '' ? [required('provisioner')] : []),
    ...oneOf('reclaimPolicy', storageClass.reclaimPolicy, ['Delete', 'Retain']),
    ...oneOf('volumeBindingMode', storageClass.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']),
    ...(old === undefined ? [] : validateChange(storageClass, old)),
  ],
  columns: [
    nameColumn,
    column('Provisioner', 'Who makes volumes.', ({ provisioner }) => provisioner),
    column('ReclaimPolicy', 'What happens to a volume when its claim goes.', ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete'),
    column('VolumeBindingMode', 'When volumes are made and bound.', ({ volumeBindingMode }) => volumeBindingMode ?? 'Immediate'),
    column('AllowVolumeExpansion', 'Whether claims may grow.', ({ allowVolumeExpansion }) => String(allowVolumeExpansion ?? false)),
    ageColumn,
  ],
});

function validateChange(storageClass: V1StorageClass, old: V1StorageClass): FieldError[] {
  const errors = (['parameters', 'provisioner', 'reclaimPolicy'] as const)
    .filter((field) => !equal(storageClass[field], old[field]))
    .map((field) => forbiddenField(field, `updates to ${field} are forbidden.`));
  return [...errors, ...immutable('volumeBindingMode', storageClass.volumeBindingMode, old.volumeBindingMode)];
}
