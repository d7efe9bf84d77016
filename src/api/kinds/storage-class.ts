/** StorageClass (storage.k8s.io/v1): a kind of storage, and who makes volumes of it. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { equal } from '../../machinery/equal.ts';
import { at, duplicate, forbiddenField, required, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { immutable, messages, noDuplicates, oneOf, requiredName } from '../field-checks.ts';
import { validateParameters } from './class-parameters.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import type { V1StorageClass, V1TopologySelectorTerm } from '../types.ts';

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
    ...requiredName('provisioner', storageClass.provisioner, (name) => qualifiedNameErrors(name.toLowerCase())),
    ...validateParameters('parameters', storageClass.parameters, false),
    ...validateTopologies('allowedTopologies', storageClass.allowedTopologies ?? []),
    ...oneOf('reclaimPolicy', storageClass.reclaimPolicy, ['Delete', 'Retain']),
    ...oneOf('volumeBindingMode', storageClass.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']),
    ...(old === undefined ? [] : validateChange(storageClass, old)),
  ],
  warnings: ({ allowedTopologies = [] }) =>
    allowedTopologies.flatMap(({ matchLabelExpressions = [] }, index) =>
      matchLabelExpressions.flatMap(({ key }, which) =>
        warn.nodeLabel(`${at(`${at('allowedTopologies', index)}.matchLabelExpressions`, which)}.key`, key),
      ),
    ),
  columns: [
    nameColumn,
    column('Provisioner', 'Who makes volumes.', ({ provisioner }) => provisioner),
    column('ReclaimPolicy', 'What happens to a volume when its claim goes.', ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete'),
    column('VolumeBindingMode', 'When volumes are made and bound.', ({ volumeBindingMode }) => volumeBindingMode ?? 'Immediate'),
    column('AllowVolumeExpansion', 'Whether claims may grow.', ({ allowVolumeExpansion }) => String(allowVolumeExpansion ?? false)),
    ageColumn,
  ],
});

function validateTopologies(field: string, terms: readonly V1TopologySelectorTerm[]): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, { matchLabelExpressions = [] }] of terms.entries()) {
    const path = `${at(field, index)}.matchLabelExpressions`;
    errors.push(...noDuplicates(path, matchLabelExpressions, ({ key }) => key, '.key'));
    for (const [which, { key, values }] of matchLabelExpressions.entries()) {
      if (values.length === 0) errors.push(required(`${at(path, which)}.values`));
      errors.push(...noDuplicates(`${at(path, which)}.values`, values), ...messages(`${at(path, which)}.key`, key, qualifiedNameErrors(key)));
    }
    if (terms.slice(0, index).some((term) => equal(term, terms[index]))) errors.push(duplicate(path, ''));
  }
  return errors;
}

function validateChange(storageClass: V1StorageClass, old: V1StorageClass): FieldError[] {
  const errors = (['parameters', 'provisioner', 'reclaimPolicy'] as const)
    .filter((field) => !equal(storageClass[field], old[field]))
    .map((field) => forbiddenField(field, `updates to ${field} are forbidden.`));
  return [...errors, ...immutable('volumeBindingMode', storageClass.volumeBindingMode, old.volumeBindingMode)];
}
