/** CSIDriver, CSINode, CSIStorageCapacity (storage.k8s.io/v1): what storage drivers can do, where they run and how much they have. */
import { ageColumn, column, nameAndCreation, nameColumn } from '../columns.ts';
import {
  immutable,
  labelSelector,
  messages,
  noDuplicates,
  nonNegative,
  nonNegativeAmount,
  oneOf,
  requiredName,
  tokenLifetime,
} from '../field-checks.ts';
import { equal } from '../../machinery/equal.ts';
import { at, invalidValue, required, tooLong, type FieldError } from '../../machinery/field-error.ts';
import { dnsSubdomainErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1CSIDriver, V1CSINode, V1CSIStorageCapacity, V1CSINodeDriver } from '../types.ts';

export type CSIDriver = V1CSIDriver;

export const CSIDriver: Kind<V1CSIDriver> = defineKind<V1CSIDriver>({
  group: 'storage.k8s.io',
  kind: 'CSIDriver',
  resource: 'csidrivers',
  model: 'V1CSIDriver',
  namespaced: false,
  generation: true,
  defaults({ spec }) {
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
    if ((spec.volumeLifecycleModes ?? []).length === 0) spec.volumeLifecycleModes = ['Persistent'];
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
  },
  validate: ({ metadata, spec }, old) => [
    ...(metadata.name.length > maxDriverName ? [tooLong('metadata.name', maxDriverName)] : []),
    ...oneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType']),
    ...(spec.volumeLifecycleModes ?? []).flatMap((mode) => oneOf('spec.volumeLifecycleModes', mode, ['Ephemeral', 'Persistent'])),
    ...noDuplicates('spec.tokenRequests', spec.tokenRequests, ({ audience }) => audience, '.audience'),
    ...(spec.tokenRequests ?? []).flatMap(({ expirationSeconds }, index) =>
      tokenLifetime(`${at('spec.tokenRequests', index)}.expirationSeconds`, expirationSeconds),
    ),
    ...validateUpdatePeriod('spec.nodeAllocatableUpdatePeriodSeconds', spec.nodeAllocatableUpdatePeriodSeconds),
    ...(old === undefined
      ? []
      : [
          ...immutable('spec.attachedRequired', spec.attachRequired, old.spec.attachRequired),
          ...immutable('spec.volumeLifecycleModes', spec.volumeLifecycleModes, old.spec.volumeLifecycleModes),
        ]),
  ],
  columns: [
    nameColumn,
    column('AttachRequired', 'Whether volumes are attached before they are mounted.', ({ spec }) => spec.attachRequired ?? true, { type: 'boolean' }),
    column('PodInfoOnMount', 'Whether the driver is told about the pod.', ({ spec }) => spec.podInfoOnMount ?? false, { type: 'boolean' }),
    column('StorageCapacity', 'Whether the scheduler looks at free space.', ({ spec }) => spec.storageCapacity ?? false, { type: 'boolean' }),
    column(
      'TokenRequests',
      'Audiences of tokens it is given.',
      ({ spec }) => (spec.tokenRequests ?? []).map(({ audience }) => audience).join(',') || '<unset>',
    ),
    column('RequiresRepublish', 'Whether it is called again and again.', ({ spec }) => spec.requiresRepublish ?? false, { type: 'boolean' }),
    column('Modes', 'Lives of volumes it serves.', ({ spec }) => (spec.volumeLifecycleModes ?? []).join(',') || '<none>'),
    ageColumn,
  ],
});

export type CSINode = V1CSINode;

export const CSINode: Kind<V1CSINode> = defineKind<V1CSINode>({
  group: 'storage.k8s.io',
  kind: 'CSINode',
  resource: 'csinodes',
  model: 'V1CSINode',
  namespaced: false,
  defaults({ spec }) {
    spec.drivers ??= [];
  },
  validate: ({ spec }, old) => [
    ...noDuplicates('spec.drivers', spec.drivers, ({ name }) => name, '.name'),
    ...spec.drivers.flatMap((driver, index) => validateNodeDriver(at('spec.drivers', index), driver)),
    ...(old === undefined ? [] : validateNodeDriverChange('spec.drivers', spec.drivers, old.spec.drivers)),
  ],
  columns: [nameColumn, column('Drivers', 'How many the node has.', ({ spec }) => (spec.drivers ?? []).length, { type: 'integer' }), ageColumn],
});

export type CSIStorageCapacity = V1CSIStorageCapacity;

export const CSIStorageCapacity: Kind<V1CSIStorageCapacity> = defineKind<V1CSIStorageCapacity>({
  group: 'storage.k8s.io',
  kind: 'CSIStorageCapacity',
  resource: 'csistoragecapacities',
  model: 'V1CSIStorageCapacity',
  validate: (object, old) => [
    ...labelSelector('nodeTopology', object.nodeTopology),
    ...messages('storageClassName', object.storageClassName, dnsSubdomainErrors(object.storageClassName)),
    ...nonNegativeAmount('capacity', object.capacity),
    ...nonNegativeAmount('maximumVolumeSize', object.maximumVolumeSize),
    ...(old === undefined
      ? []
      : [
          ...immutable('nodeTopology', object.nodeTopology, old.nodeTopology),
          ...immutable('storageClassName', object.storageClassName, old.storageClassName),
        ]),
  ],
  columns: nameAndCreation,
});

const maxDriverName = 63;

/** A driver's name: a domain in any case, not too long for a label. */
export function csiDriverName(field: string, name: string | undefined): FieldError[] {
  if (name === undefined || name === '') return [required(field)];
  const errors = name.length > maxDriverName ? [tooLong(field, maxDriverName)] : [];
  return [...errors, ...messages(field, name, dnsSubdomainErrors(name.toLowerCase()))];
}

const minUpdatePeriod = 10;

function validateUpdatePeriod(field: string, seconds: number | undefined): FieldError[] {
  if (seconds === undefined || seconds >= minUpdatePeriod) return [];
  return [invalidValue(field, seconds, `must be greater than or equal to ${minUpdatePeriod} seconds`)];
}

const maxNodeIdLength = 256;

function validateNodeDriver(field: string, { name, nodeID, allocatable, topologyKeys }: V1CSINodeDriver): FieldError[] {
  const errors = csiDriverName(`${field}.name`, name);
  if (nodeID === '') errors.push(required(`${field}.nodeID`));
  if (nodeID.length > maxNodeIdLength) errors.push(invalidValue(`${field}.nodeID`, nodeID, `must be ${maxNodeIdLength} characters or less`));
  return [
    ...errors,
    ...nonNegative(`${field}.allocatable.count`, allocatable?.count),
    ...noDuplicates(`${field}.topologyKeys`, topologyKeys),
    ...(topologyKeys ?? []).flatMap((key, index) => requiredName(at(`${field}.topologyKeys`, index), key, qualifiedNameErrors)),
  ];
}

/** A driver keeps what it registered with; how many volumes it takes may change. */
function validateNodeDriverChange(field: string, drivers: readonly V1CSINodeDriver[], old: readonly V1CSINodeDriver[]): FieldError[] {
  const fixed = ({ allocatable: _free, ...rest }: V1CSINodeDriver): object => rest;
  return drivers.flatMap((driver, index) => {
    const before = old.find(({ name }) => name === driver.name);
    return before === undefined || equal(fixed(driver), fixed(before)) ? [] : [invalidValue(at(field, index), driver, 'field is immutable')];
  });
}
