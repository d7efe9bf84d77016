/** Secret (core/v1): small confidential values, base64 on the wire. `stringData` is a convenience of writing: it is folded into `data`. */
import { own } from '../../machinery/own.ts';
import { at, invalidValue, required, tooLong, type FieldError } from '../../machinery/field-error.ts';
import { configMapKeyErrors } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { immutable, messages } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1Secret } from '../types.ts';
import { maxDataBytes, validateFrozen } from './config-map.ts';

export type Secret = V1Secret;

export const Secret: Kind<V1Secret> = defineKind<V1Secret>({
  kind: 'Secret',
  resource: 'secrets',
  model: 'V1Secret',
  defaults(secret) {
    secret.type ||= 'Opaque';
    if (secret.stringData === undefined) return;
    secret.data ??= {};
    for (const [key, value] of Object.entries(secret.stringData)) secret.data[key] = Buffer.from(value).toString('base64');
    delete secret.stringData;
  },
  validate: (secret, old) => [
    ...validateData(secret),
    ...(old === undefined ? [] : immutable('type', secret.type, old.type)),
    ...(old?.immutable === true ? validateFrozen(secret, old, ['data']) : []),
  ],
  selectableFields: { type: ({ type }) => type ?? '' },
  columns: [
    nameColumn,
    column('Type', 'What the data is for.', ({ type }) => type ?? ''),
    column('Data', 'How many keys it holds.', ({ data }) => Object.keys(data ?? {}).length),
    ageColumn,
  ],
});

/** Keys that a secret of a well-known type must have. */
const requiredKeys: Readonly<Record<string, readonly string[] | undefined>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};

function validateData({ metadata, type = '', data = {} }: V1Secret): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...messages(at('data', key), key, configMapKeyErrors(key)));
    bytes += Buffer.byteLength(value, 'base64');
  }
  if (bytes > maxDataBytes) errors.push(tooLong('data', maxDataBytes));
  if (type === 'kubernetes.io/service-account-token' && (metadata.annotations?.['kubernetes.io/service-account.name'] ?? '') === '') {
    errors.push(required('metadata.annotations[kubernetes.io/service-account.name]'));
  }
  if (type === 'kubernetes.io/basic-auth' && !Object.hasOwn(data, 'username') && !Object.hasOwn(data, 'password')) {
    errors.push(required('data[username]'), required('data[password]'));
  }
  const jsonKey = type === 'kubernetes.io/dockercfg' ? '.dockercfg' : type === 'kubernetes.io/dockerconfigjson' ? '.dockerconfigjson' : '';
  const text = data[jsonKey];
  if (text !== undefined) errors.push(...validateJson(at('data', jsonKey), Buffer.from(text, 'base64').toString()));
  return [...errors, ...(own(requiredKeys, type) ?? []).filter((key) => !Object.hasOwn(data, key)).map((key) => required(at('data', key)))];
}

function validateJson(field: string, text: string): FieldError[] {
  try {
    JSON.parse(text);
    return [];
  } catch {
    // Not what the parser says: it would quote the secret.
    return [invalidValue(field, '<secret contents redacted>', 'must be valid JSON')];
  }
}
