import assert from 'node:assert/strict';
import { test } from 'node:test';
import { structuralErrors } from './structural-schema.ts';
import type { V1JSONSchemaProps } from './types.ts';

const cases: readonly [name: string, schema: V1JSONSchemaProps, errors: readonly string[]][] = [
  [
    'nothing amiss',
    { type: 'object', properties: { a: { type: 'array', items: { type: 'string' } }, b: { 'x-kubernetes-int-or-string': true } } },
    [],
  ],
  [
    'a field without type',
    { type: 'object', properties: { a: {} } },
    ['s.properties[a].type: Required value: must not be empty for specified object fields'],
  ],
  [
    'items without type',
    { type: 'object', properties: { a: { type: 'array', items: {} } } },
    ['s.properties[a].items.type: Required value: must not be empty for specified array items'],
  ],
  ['a root of another type', { type: 'array', items: { type: 'string' } }, ['s.type: Invalid value: "array": must be object at the root']],
  [
    'both kinds of fields',
    { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: true },
    ['s.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive'],
  ],
  [
    'a default inside an alternative',
    { type: 'object', anyOf: [{ properties: { a: { default: 1 } } }] },
    ['s.anyOf[0].properties[a].default: Forbidden: must be undefined to be structural'],
  ],
  ['a type inside an alternative', { type: 'object', allOf: [{ type: 'object' }] }, ['s.allOf[0].type: Forbidden: must be empty to be structural']],
  [
    'types of an int-or-string',
    { type: 'object', properties: { a: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] } } },
    [],
  ],
  [
    'keys that may be missing',
    {
      type: 'object',
      properties: {
        a: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['n'],
          items: { type: 'object', properties: { n: { type: 'string' } } },
        },
      },
    },
    [
      's.properties[a].items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
    ],
  ],
  ['references', { type: 'object', $ref: '#/definitions/x' }, ['s.$ref: Forbidden: $ref is not supported']],
  [
    'unique items',
    { type: 'object', properties: { a: { type: 'array', uniqueItems: true, items: { type: 'string' } } } },
    ['s.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic'],
  ],
  [
    'metadata',
    { type: 'object', properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } } },
    ['s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified'],
  ],
];

for (const [name, schema, errors] of cases) test(name, () => assert.deepEqual(structuralErrors('s', schema).map(String), errors));

test('patterns and rules that do not parse', () => {
  const [pattern, rule] = structuralErrors('s', {
    type: 'object',
    properties: { a: { type: 'string', pattern: '(' } },
    'x-kubernetes-validations': [{ rule: 'self.' }],
  })
    .map(String)
    .toSorted();
  assert.match(pattern ?? '', /^s\.properties\[a\]\.pattern: Invalid value: "\(": must be a valid regular expression, but isn't: /);
  assert.match(rule ?? '', /^s\.x-kubernetes-validations\[0\]\.rule: Invalid value: "self\.": compilation failed: /);
});
