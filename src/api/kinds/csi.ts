/** CSIDriver, CSINode, CSIStorageCapacity (storage.k8s.io/v1): what storage drivers can do, where they run and how much they have. */
import { ageColumn, column, nameAndCreation, nameColumn } from '../columns.ts';
import { oneOf } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1CSIDriver, V1CSINode, V1CSIStorageCapacity } from '../types.ts';

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
  validate: ({ spec }) => [
    ...oneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType']),
    ...(spec.volumeLifecycleModes ?? []).flatMap((mode) => oneOf('spec.volumeLifecycleModes', mode, ['Ephemeral', 'Persistent'])),
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
  columns: [nameColumn, column('Drivers', 'How many the node has.', ({ spec }) => (spec.drivers ?? []).length, { type: 'integer' }), ageColumn],
});

export type CSIStorageCapacity = V1CSIStorageCapacity;

export const CSIStorageCapacity: Kind<V1CSIStorageCapacity> = defineKind<V1CSIStorageCapacity>({
  group: 'storage.k8s.io',
  kind: 'CSIStorageCapacity',
  resource: 'csistoragecapacities',
  model: 'V1CSIStorageCapacity',
  columns: nameAndCreation,
});
