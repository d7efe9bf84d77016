/** PersistentVolume (core/v1): a piece of storage in the cluster. */
import { equal } from '../../machinery/equal.ts';
import { at, forbiddenField, invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { immutable, messages, oneOf, optionalName } from '../field-checks.ts';
import { dnsSubdomainErrors } from '../../machinery/names.ts';
import { validateNodeSelector } from '../pods/validate-scheduling.ts';
import { secretReference, surplusSources, validateVolumeSource } from '../pods/volume-sources.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import type { V1CSIPersistentVolumeSource, V1VolumeNodeAffinity, V1PersistentVolume, V1PersistentVolumeSpec } from '../types.ts';
import { accessModes } from './claim-spec.ts';
import { accessModesText, storageClassOf } from './persistent-volume-claim.ts';

export type PersistentVolume = V1PersistentVolume;

export const PersistentVolume: Kind<V1PersistentVolume> = defineKind<V1PersistentVolume>({
  kind: 'PersistentVolume',
  resource: 'persistentvolumes',
  model: 'V1PersistentVolume',
  shortNames: ['pv'],
  namespaced: false,
  subresources: { status: statusSubresource },
  defaults({ spec, status }) {
    status.phase ??= 'Pending';
    spec.persistentVolumeReclaimPolicy ??= 'Retain';
    spec.volumeMode ??= 'Filesystem';
    if (spec.hostPath !== undefined) spec.hostPath.type ??= '';
  },
  prepareForCreate(volume) {
    volume.status = { phase: 'Pending' };
  },
  validate: ({ spec }, old) => [...validateSpec('spec', spec), ...(old === undefined ? [] : validateChange('spec', spec, old.spec))],
  warnings: ({ metadata, spec }) => [
    ...(spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).flatMap((term, index) =>
      warn.nodeSelectorTerm(at('spec.nodeAffinity.required.nodeSelectorTerms', index), term),
    ),
    ...warn.formerAnnotations('metadata.annotations', metadata, {
      ...warn.storageClassAnnotation,
      'volume.beta.kubernetes.io/mount-options': 'deprecated since v1.31; use "mountOptions" attribute instead',
    }),
    ...(spec.persistentVolumeReclaimPolicy === 'Recycle'
      ? [
          'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
        ]
      : []),
    ...warn.volumeSource('spec', spec),
    ...warn.wholeBytes('spec.capacity[storage]', spec.capacity?.['storage']),
  ],
  columns: [
    nameColumn,
    column('Capacity', 'The size of the volume.', ({ spec }) => spec.capacity?.['storage'] ?? ''),
    column('Access Modes', 'How the volume may be mounted.', ({ spec }) => accessModesText(spec.accessModes)),
    column('Reclaim Policy', 'What happens to the volume when its claim goes.', ({ spec }) => spec.persistentVolumeReclaimPolicy ?? ''),
    column('Status', 'Whether a claim has the volume.', ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined ? (status.phase ?? '') : 'Terminating',
    ),
    column('Claim', 'The claim that has the volume.', ({ spec: { claimRef } }) =>
      claimRef === undefined ? '' : `${claimRef.namespace ?? ''}/${claimRef.name ?? ''}`,
    ),
    column('StorageClass', 'The class the volume belongs to.', ({ metadata, spec }) => storageClassOf(metadata, spec.storageClassName)),
    column('VolumeAttributesClass', 'The class of changeable attributes.', ({ spec }) => spec.volumeAttributesClassName ?? '<unset>'),
    column('Reason', 'Why the volume is in its phase.', ({ status }) => status.reason ?? ''),
    ageColumn,
    column('VolumeMode', 'Whether the volume is a file system or a block device.', ({ spec }) => spec.volumeMode ?? '<unset>', { wide: true }),
  ],
});

const sources = [
  'awsElasticBlockStore',
  'azureDisk',
  'azureFile',
  'cephfs',
  'cinder',
  'csi',
  'fc',
  'flexVolume',
  'flocker',
  'gcePersistentDisk',
  'glusterfs',
  'hostPath',
  'iscsi',
  'local',
  'nfs',
  'photonPersistentDisk',
  'portworxVolume',
  'quobyte',
  'rbd',
  'scaleIO',
  'storageos',
  'vsphereVolume',
] as const;

function validateSpec(field: string, spec: V1PersistentVolumeSpec): FieldError[] {
  const errors: FieldError[] = [];
  if ((spec.accessModes ?? []).length === 0) errors.push(required(`${field}.accessModes`));
  for (const mode of spec.accessModes ?? []) errors.push(...oneOf(`${field}.accessModes`, mode, accessModes));
  const capacity = spec.capacity ?? {};
  if (Object.keys(capacity).length === 0) errors.push(required(`${field}.capacity`));
  if (capacity['storage'] === undefined || Object.keys(capacity).length > 1) errors.push(notSupported(`${field}.capacity`, capacity, ['storage']));
  for (const [name, amount] of Object.entries(capacity)) {
    if (parseQuantity(amount).compare(Quantity.zero) <= 0)
      errors.push(invalidValue(at(`${field}.capacity`, name), amount, 'must be greater than zero'));
  }
  errors.push(...oneOf(`${field}.persistentVolumeReclaimPolicy`, spec.persistentVolumeReclaimPolicy, ['Delete', 'Recycle', 'Retain']));
  const found = sources.filter((source) => spec[source] !== undefined);
  if (found.length === 0) errors.push(required(field, 'must specify a volume type'));
  errors.push(...surplusSources(field, found));
  for (const name of found) {
    const source = spec[name];
    if (source !== undefined) errors.push(...validateVolumeSource(`${field}.${name}`, name, source));
  }
  if (spec.csi !== undefined) errors.push(...validateDriver(`${field}.csi`, spec.csi));
  if (spec.hostPath?.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle')
    errors.push(forbiddenField(`${field}.persistentVolumeReclaimPolicy`, "may not be 'recycle' for a hostPath mount of '/'"));
  if (spec.accessModes?.includes('ReadWriteOncePod') === true && spec.accessModes.length > 1)
    errors.push(forbiddenField(`${field}.accessModes`, 'may not use ReadWriteOncePod with other access modes'));
  errors.push(
    ...optionalName(`${field}.storageClassName`, spec.storageClassName, dnsSubdomainErrors),
    ...validateReach(`${field}.nodeAffinity`, spec.nodeAffinity),
  );
  if (spec.volumeAttributesClassName !== undefined) {
    const path = `${field}.volumeAttributesClassName`;
    if (spec.volumeAttributesClassName === '') errors.push(required(path, 'an empty string is disallowed'));
    else errors.push(...messages(path, spec.volumeAttributesClassName, dnsSubdomainErrors(spec.volumeAttributesClassName)));
    if (spec.csi === undefined) errors.push(required(`${field}.csi`, 'has to be specified when using volumeAttributesClassName'));
  }
  if (spec.local !== undefined && spec.nodeAffinity === undefined)
    errors.push(required(`${field}.nodeAffinity`, 'Local volume requires node affinity'));
  return [...errors, ...oneOf(`${field}.volumeMode`, spec.volumeMode, ['Block', 'Filesystem'])];
}

const secretRefs = [
  'controllerPublishSecretRef',
  'nodeStageSecretRef',
  'nodePublishSecretRef',
  'controllerExpandSecretRef',
  'nodeExpandSecretRef',
] as const;

function validateDriver(field: string, csi: V1CSIPersistentVolumeSource): FieldError[] {
  return [
    ...(csi.volumeHandle === '' ? [required(`${field}.volumeHandle`)] : []),
    ...secretRefs.flatMap((name) => secretReference(`${field}.${name}`, csi[name])),
  ];
}

/** The nodes a volume can be reached from. */
function validateReach(field: string, affinity: V1VolumeNodeAffinity | undefined): FieldError[] {
  if (affinity === undefined) return [];
  if (affinity.required === undefined) return [required(`${field}.required`, 'must specify required node constraints')];
  return validateNodeSelector(`${field}.required`, affinity.required);
}

function validateChange(field: string, spec: V1PersistentVolumeSpec, old: V1PersistentVolumeSpec): FieldError[] {
  const changed = sources.some((source) => !equal(spec[source], old[source]));
  const errors = changed ? [forbiddenField(`${field}.persistentvolumesource`, 'spec.persistentvolumesource is immutable after creation')] : [];
  if (old.nodeAffinity !== undefined) errors.push(...immutable(`${field}.nodeAffinity`, spec.nodeAffinity, old.nodeAffinity));
  if ((old.volumeAttributesClassName ?? '') !== '' && (spec.volumeAttributesClassName ?? '') === '')
    errors.push(forbiddenField(`${field}.volumeAttributesClassName`, 'update from non-nil value to nil is forbidden'));
  if (spec.volumeMode !== old.volumeMode) errors.push(invalidValue(`${field}.volumeMode`, spec.volumeMode, 'field is immutable'));
  return errors;
}
