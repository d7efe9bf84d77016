import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { V1JSONSchemaProps } from '../../api/types.ts';
import { structureOf } from './structure.ts';
import { validateValue } from './value-validation.ts';

/** What is wrong with a field `x` of the schema. */
function faults(props: V1JSONSchemaProps, x: unknown, old?: unknown): string[] {
  const root = structureOf({ type: 'object', properties: { x: props } });
  return validateValue({ x }, old === undefined ? undefined : { x: old }, root).map(String);
}

const cases: readonly [name: string, props: V1JSONSchemaProps, value: unknown, errors: readonly string[]][] = [
  ['a type', { type: 'boolean' }, 'yes', ['x: Invalid value: "string": x in body must be of type boolean: "string"']],
  ['a number that is whole', { type: 'number' }, 1, []],
  ['a whole number that is none', { type: 'integer' }, 1.5, ['x: Invalid value: "number": x in body must be of type integer: "number"']],
  ['null where it may be', { type: 'string', nullable: true }, null, []],
  ['null where it may not be', { type: 'string' }, null, ['x: Invalid value: "null": x in body must be of type string: "null"']],
  ['either of two types', { 'x-kubernetes-int-or-string': true }, '80%', []],
  ['minimum', { type: 'integer', minimum: 1 }, 0, ['x: Invalid value: 0: x in body should be greater than or equal to 1']],
  ['exclusive maximum', { type: 'number', maximum: 2, exclusiveMaximum: true }, 2, ['x: Invalid value: 2: x in body should be less than 2']],
  ['multiples', { type: 'integer', multipleOf: 5 }, 7, ['x: Invalid value: 7: x in body should be a multiple of 5']],
  ['shortness', { type: 'string', minLength: 2 }, 'a', ['x: Invalid value: "a": x in body should be at least 2 chars long']],
  ['length, in characters', { type: 'string', maxLength: 2 }, '😀😀', []],
  ['length', { type: 'string', maxLength: 2 }, 'abc', ['x: Too long: may not be more than 2 bytes']],
  ['pattern in RE2 syntax', { type: 'string', pattern: '(?i)^[[:alpha:]]+\\z' }, 'aB', []],
  ['few items', { type: 'array', items: { type: 'string' }, minItems: 1 }, [], ['x: Invalid value: 0: x in body should have at least 1 items']],
  ['many items', { type: 'array', items: { type: 'string' }, maxItems: 1 }, ['a', 'b'], ['x: Too many: 2: must have at most 1 items']],
  [
    'items',
    { type: 'array', items: { type: 'string' } },
    ['a', 1],
    ['x[1]: Invalid value: "integer": x[1] in body must be of type string: "integer"'],
  ],
  [
    'values',
    { type: 'object', additionalProperties: { type: 'string' } },
    { a: 1 },
    ['x.a: Invalid value: "integer": x.a in body must be of type string: "integer"'],
  ],
  [
    'many properties',
    { type: 'object', maxProperties: 1, additionalProperties: true },
    { a: 1, b: 2 },
    ['x: Too many: 2: must have at most 1 items'],
  ],
  ['required fields', { type: 'object', required: ['a'] }, {}, ['x.a: Required value']],
  [
    'anyOf',
    { type: 'object', anyOf: [{ required: ['a'] }, { required: ['b', 'c'] }] },
    {},
    ['<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)', 'x.a: Required value'],
  ],
  [
    'oneOf, none',
    { type: 'object', oneOf: [{ required: ['a'] }, { required: ['b'] }] },
    {},
    ['<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid', 'x.a: Required value'],
  ],
  [
    'oneOf, too many',
    { type: 'object', oneOf: [{ required: ['a'] }, { required: ['b'] }] },
    { a: 1, b: 1 },
    ['<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
  ],
  [
    'allOf',
    { type: 'integer', allOf: [{ minimum: 1 }, { maximum: 3 }] },
    4,
    ['<nil>: Invalid value: "": "x" must validate all the schemas (allOf)', 'x: Invalid value: 4: x in body should be less than or equal to 3'],
  ],
  ['not', { type: 'string', not: { enum: ['a'] } }, 'a', ['<nil>: Invalid value: "": "x" must not validate the schema (not)']],
  [
    'an embedded object',
    { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
    { apiVersion: 'v1', metadata: { name: 'a' } },
    ['x.kind: Required value: must not be empty'],
  ],
  ['a format', { type: 'string', format: 'ipv4' }, '::1', ['x: Invalid value: "::1": x in body must be of type ipv4: "::1"']],
  ['a format nobody knows', { type: 'string', format: 'rhyme' }, 'anything', []],
];

describe('validation of', () => {
  for (const [name, props, value, errors] of cases) test(name, () => assert.deepEqual(faults(props, value), errors));

  test('what has not changed is left out, around what has', () => {
    const props: V1JSONSchemaProps = {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: { type: 'object', properties: { name: { type: 'string' }, size: { type: 'integer', maximum: 1 } } },
    };
    const old = [{ name: 'a', size: 5 }];
    assert.deepEqual(faults(props, [{ name: 'b', size: 1 }, ...old], old), []);
    assert.deepEqual(faults(props, [{ name: 'a', size: 6 }], old), [
      'x[0].size: Invalid value: 6: x[0].size in body should be less than or equal to 1',
    ]);
  });
});
