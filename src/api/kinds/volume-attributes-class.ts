/** VolumeAttributesClass (storage.k8s.io/v1): attributes of a volume that can be changed while it is used. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { forbiddenField } from '../../machinery/field-error.ts';
import { equal } from '../../machinery/equal.ts';
import { defineKind } from '../define-kind.ts';
import { validateParameters } from './class-parameters.ts';
import { csiDriverName } from './csi.ts';
import type { Kind } from '../kind.ts';
import type { V1VolumeAttributesClass } from '../types.ts';

export type VolumeAttributesClass = V1VolumeAttributesClass;

export const VolumeAttributesClass: Kind<V1VolumeAttributesClass> = defineKind<V1VolumeAttributesClass>({
  group: 'storage.k8s.io',
  kind: 'VolumeAttributesClass',
  resource: 'volumeattributesclasses',
  model: 'V1VolumeAttributesClass',
  shortNames: ['vac'],
  namespaced: false,
  validate: ({ driverName, parameters }, old) => [
    ...csiDriverName('driverName', driverName),
    ...validateParameters('parameters', parameters, true),
    ...(old !== undefined && old.driverName !== driverName ? [forbiddenField('driverName', 'updates to driverName are forbidden.')] : []),
    ...(old !== undefined && !equal(old.parameters, parameters) ? [forbiddenField('parameters', 'updates to parameters are forbidden.')] : []),
  ],
  columns: [nameColumn, column('DriverName', 'The driver it is for.', ({ driverName }) => driverName), ageColumn],
});
