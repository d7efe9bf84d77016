import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applyDefaults } from './defaulting.ts';
import { hasFormat } from './formats.ts';
import { readCustomObject } from './pruning.ts';
import { publishedSchema } from './published-schema.ts';
import { structureOf } from './structure.ts';

const root = structureOf({
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        known: { type: 'string' },
        nullable: { type: 'string', nullable: true },
        open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { closed: { type: 'object' } } },
        map: { type: 'object', additionalProperties: { type: 'object', properties: { size: { type: 'integer', default: 1 } } } },
        anything: { type: 'object', additionalProperties: true },
        list: { type: 'array', items: { type: 'object', properties: { name: { type: 'string', default: 'x' } } } },
        template: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { spec: { type: 'object' } } },
        nested: { type: 'object', default: {}, properties: { deep: { type: 'boolean', default: true } } },
        port: { 'x-kubernetes-int-or-string': true },
      },
    },
  },
});

const read = (spec: object) => {
  const { object, unknownFields, typeErrors } = readCustomObject({ apiVersion: 'e.com/v1', kind: 'X', metadata: { name: 'x' }, spec }, root);
  assert.deepEqual(typeErrors, []);
  return { spec: object['spec'], unknownFields };
};

describe('reading', () => {
  test('leaves out what the schema does not know, and says where it was', () => {
    const { spec, unknownFields } = read({ known: 'a', not: 1, list: [{ name: 'a', no: 1 }], map: { a: { size: 1, no: 2 } } });
    assert.deepEqual(spec, { known: 'a', list: [{ name: 'a' }], map: { a: { size: 1 } } });
    assert.deepEqual(unknownFields, ['spec.not', 'spec.list[0].no', 'spec.map.a.no']);
  });

  test('keeps what is free, but not inside what is known', () => {
    const { spec, unknownFields } = read({ open: { a: [{ b: 1 }], closed: { c: 1 } }, anything: { d: { e: null } } });
    assert.deepEqual(spec, { open: { a: [{ b: 1 }], closed: {} }, anything: { d: { e: null } } });
    assert.deepEqual(unknownFields, ['spec.open.closed.c']);
  });

  test('keeps type and metadata of embedded objects', () => {
    const template = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', nope: 1 }, spec: { no: 1 }, status: {} };
    const { spec, unknownFields } = read({ template });
    assert.deepEqual(spec, { template: { spec: {}, apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } } });
    assert.deepEqual(unknownFields, ['spec.template.spec.no', 'spec.template.status', 'spec.template.metadata.nope']);
  });

  test('drops nulls that are not allowed', () => {
    assert.deepEqual(read({ known: null, nullable: null, list: [null] }).spec, { nullable: null, list: [null] });
  });

  test('leaves wrong types to validation, and a prototype alone', () => {
    assert.deepEqual(read({ known: { a: 1 }, port: [1] }).spec, { known: { a: 1 }, port: [1] });
    const { unknownFields } = read(JSON.parse('{"__proto__": {"polluted": true}}'));
    assert.deepEqual(unknownFields, ['spec.__proto__']);
  });

  test('refuses metadata of wrong types and what is too deep', () => {
    const wrong = readCustomObject({ metadata: { name: 1 } }, root);
    assert.equal(wrong.typeErrors.length, 1);
    const deep = JSON.parse(`${'{"a":'.repeat(600)}1${'}'.repeat(600)}`);
    assert.match(readCustomObject({ spec: { anything: deep } }, root).typeErrors[0] ?? '', /too deeply nested/);
  });
});

test('defaults come from the outside in, into lists and maps too', () => {
  const object = { spec: { list: [{}, { name: 'y' }], map: { a: {} } } };
  applyDefaults(object, root);
  assert.deepEqual(object, { spec: { list: [{ name: 'x' }, { name: 'y' }], map: { a: { size: 1 } }, nested: { deep: true } } });
});

test('formats', () => {
  const table: Readonly<Record<string, readonly [good: readonly string[], bad: readonly string[]]>> = {
    date: [['2024-02-29'], ['2023-02-29', 'today']],
    'date-time': [['2024-01-01T00:00:00Z', '2024-01-01T00:00:00.5+01:00'], ['2024-01-01']],
    duration: [
      ['1h30m', '500ms', '0'],
      ['soon', ''],
    ],
    email: [['a@b.c'], ['a']],
    ipv4: [['10.0.0.1'], ['10.0.0.256', '::1']],
    ipv6: [['::1'], ['10.0.0.1']],
    cidr: [
      ['10.0.0.0/8', '::/0'],
      ['10.0.0.0', '10.0.0.0/33'],
    ],
    mac: [['00:00:5e:00:53:01'], ['00:00']],
    uri: [['https://example.com/a', '/a'], ['nothing']],
    uuid: [['2ecbe19c-0743-4fec-8e5c-588d407bfb59'], ['2ecbe19c']],
    byte: [['YWJj', ''], ['YWJ']],
    hostname: [['a.example.com'], ['-a', 'a b']],
  };
  for (const [format, [good, bad]] of Object.entries(table)) {
    for (const text of good) assert.ok(hasFormat(text, format), `${text} is a ${format}`);
    for (const text of bad) assert.ok(!hasFormat(text, format), `${text} is no ${format}`);
  }
});

test('OpenAPI 2 says less', () => {
  const props = {
    type: 'object',
    properties: { a: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }] }, b: { type: 'string', nullable: true, description: 'B.' } },
    required: ['a'],
  };
  assert.deepEqual(publishedSchema(props, 3), props);
  assert.deepEqual(publishedSchema(props, 2), {
    type: 'object',
    properties: { a: { 'x-kubernetes-int-or-string': true }, b: { description: 'B.' } },
    required: ['a'],
  });
});
