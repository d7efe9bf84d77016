/** ConfigMap (core/v1): settings for pods, as files or variables. */
import { equal } from '../../machinery/equal.ts';
import { at, forbiddenField, invalidValue, tooLong, type FieldError } from '../../machinery/field-error.ts';
import { configMapKeyErrors } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { messages } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1ConfigMap } from '../types.ts';

export type ConfigMap = V1ConfigMap;

/** What fits into one object of ours and of etcd's. */
export const maxDataBytes = 1024 * 1024;

export const ConfigMap: Kind<V1ConfigMap> = defineKind<V1ConfigMap>({
  kind: 'ConfigMap',
  resource: 'configmaps',
  model: 'V1ConfigMap',
  shortNames: ['cm'],
  validate: (configMap, old) => [
    ...validateData(configMap),
    ...(old?.immutable === true ? validateFrozen(configMap, old, ['data', 'binaryData']) : []),
  ],
  columns: [
    nameColumn,
    column('Data', 'How many keys it holds.', ({ data, binaryData }) => Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length),
    ageColumn,
  ],
});

function validateData({ data = {}, binaryData = {} }: V1ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...messages(at('data', key), key, configMapKeyErrors(key)));
    if (Object.hasOwn(binaryData, key)) errors.push(invalidValue(at('data', key), key, `duplicate of key present in binaryData`));
    bytes += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    errors.push(...messages(at('binaryData', key), key, configMapKeyErrors(key)));
    bytes += Buffer.byteLength(value, 'base64');
  }
  return bytes > maxDataBytes ? [...errors, tooLong('[]', maxDataBytes)] : errors;
}

/** Once `immutable` is set, it and the fields it guards stay as they are. */
export function validateFrozen<T extends { immutable?: boolean }>(object: T, old: T, fields: readonly (keyof T & string)[]): FieldError[] {
  const why = 'field is immutable when `immutable` is set';
  const errors = object.immutable === true ? [] : [forbiddenField('immutable', why)];
  return [...errors, ...fields.filter((field) => !equal(object[field], old[field])).map((field) => forbiddenField(field, why))];
}
