import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allKinds, ConfigMap, Deployment, Event, Node, Pod, PodDisruptionBudget, Secret } from '../../api/kinds.ts';
import type { ObjectSchema, Schema } from '../../machinery/schema.ts';
import { readEnvelope, readObject } from './decode.ts';
import { encodeMessage, hasProtobufForm, watchEventMessage, wrap, wrapList } from './encode.ts';
import { messageOf } from './messages.ts';

const encodable = allKinds.filter(({ schema }) => hasProtobufForm(schema));

function roundTrip(value: object, schema: ObjectSchema): object {
  const bytes = wrap('v1', 'X', encodeMessage(value, schema));
  const { kind: _kind, apiVersion: _apiVersion, ...rest } = readObject(readEnvelope(bytes), schema);
  return rest;
}

test('all built-in kinds but definitions of extensions have a protobuf form', () => {
  const without = allKinds.filter(({ schema }) => !hasProtobufForm(schema)).map(({ group, kind }) => `${kind}.${group}`);
  assert.deepEqual(without, ['CustomResourceDefinition.apiextensions.k8s.io']);
});

/** Fields in the message, with those that stand in it through another one. */
function fieldNames(definition: string): Set<string> {
  const names = new Set<string>();
  for (const field of messageOf(definition)?.values() ?? []) {
    if (field.type === 'field') names.add(field.name);
    else for (const name of fieldNames(field.message)) names.add(name);
  }
  return names;
}

function* objectSchemas(schema: Schema, seen: Set<Schema>): Generator<ObjectSchema> {
  if (seen.has(schema)) return;
  seen.add(schema);
  if (schema.type === 'list') yield* objectSchemas(schema.items, seen);
  else if (schema.type === 'map') yield* objectSchemas(schema.values, seen);
  else if (schema.type === 'object') {
    yield schema;
    for (const { schema: inner } of Object.values(schema.properties)) yield* objectSchemas(inner, seen);
  }
}

test('every field of every type has a number', () => {
  const seen = new Set<Schema>();
  const missing: string[] = [];
  for (const kind of encodable) {
    for (const schema of objectSchemas(kind.schema, seen)) {
      const known = fieldNames(schema.name);
      const isTop = schema === kind.schema;
      for (const name of Object.keys(schema.properties)) {
        if (!known.has(name) && !(isTop && (name === 'kind' || name === 'apiVersion'))) missing.push(`${schema.name}.${name}`);
      }
    }
  }
  assert.deepEqual(missing, []);
});

const text = fc.oneof(fc.string({ minLength: 1, maxLength: 60 }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }));
const secondsOfTime = fc.integer({ min: -62_135_596_800, max: 253_402_300_799 });

/** Values that mean something: what is zero and may be left out is not told from what is absent. */
function valueOf(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  switch (schema.type) {
    case 'string':
      return text;
    case 'integer':
      return fc.oneof(
        fc.integer({ min: -2147483648, max: 2147483647 }).filter((value) => value !== 0),
        fc.constant(schema.format === 'int32' ? 1 : 2 ** 53 - 1),
      );
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => value !== 0);
    case 'boolean':
      return fc.constant(true);
    case 'bytes':
      return fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('base64'));
    case 'quantity':
      return fc.constantFrom('1', '-5m', '1Gi', '100k', '1e3', '0.5');
    case 'int-or-string':
      return fc.oneof(fc.integer({ min: -2147483648, max: 2147483647 }), fc.constantFrom('50%', 'http'));
    case 'time':
      return secondsOfTime.map((seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`);
    case 'micro-time':
      return fc
        .tuple(secondsOfTime, fc.integer({ min: 0, max: 999_999 }))
        .map(([seconds, micros]) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`);
    case 'any':
      return fc.jsonValue({ maxDepth: 2 }).filter((value) => value !== null);
    case 'list':
      return fc.array(valueOf(schema.items, depth + 1), { minLength: 1, maxLength: 3 });
    case 'map':
      return fc.dictionary(
        text.filter((key) => key !== '__proto__'),
        valueOf(schema.values, depth + 1),
        { minKeys: 1, maxKeys: 3, noNullPrototype: true },
      );
    case 'object':
      return objectOf(schema, depth + 1, []);
  }
}

/** A few of its fields, fewer the deeper it is. */
function objectOf(schema: ObjectSchema, depth: number, except: readonly string[]): fc.Arbitrary<object> {
  // An object within another (a claim's template) says no kind and version of its own in a message.
  const known = fieldNames(schema.name);
  const names = Object.keys(schema.properties).filter((name) => !except.includes(name) && known.has(name));
  if (depth > 7 || names.length === 0) return fc.constant({});
  return fc.uniqueArray(fc.constantFrom(...names), { maxLength: depth < 2 ? 4 : 3 }).chain((chosen) =>
    fc.record(
      Object.fromEntries(
        chosen.flatMap((name): [string, fc.Arbitrary<unknown>][] => {
          const property = schema.properties[name];
          return property === undefined ? [] : [[name, valueOf(property.schema, depth)]];
        }),
      ),
      { noNullPrototype: true },
    ),
  );
}

test('what is encoded decodes to the same, for every kind', () => {
  for (const { schema } of encodable) {
    fc.assert(
      fc.property(objectOf(schema, 0, ['kind', 'apiVersion']), (object) => {
        assert.deepEqual(JSON.parse(JSON.stringify(roundTrip(object, schema))), JSON.parse(JSON.stringify(object)));
      }),
      { numRuns: 6 },
    );
  }
});

const kept: readonly (readonly [string, ObjectSchema, object])[] = [
  ['zeros of fields that tell zero from absent', Deployment.schema, { spec: { replicas: 0, revisionHistoryLimit: 0 } }],
  ['an empty object', Pod.schema, { spec: { volumes: [{ name: 'v', emptyDir: {} }], securityContext: {} } }],
  ['numbers and percentages', PodDisruptionBudget.schema, { spec: { minAvailable: 0, maxUnavailable: '0%' } }],
  ['negative numbers', Pod.schema, { spec: { priority: -2147483648, terminationGracePeriodSeconds: -1 } }],
  ['bytes that are no text', Secret.schema, { data: { a: 'AP+A', b: '' } }],
  ['letters of all kinds', ConfigMap.schema, { data: { ключ: 'значение 😀', empty: '' } }],
  ['microseconds', Event.schema, { metadata: {}, eventTime: '2026-01-02T03:04:05.000006Z' }],
  [
    'owned fields',
    ConfigMap.schema,
    {
      metadata: {
        name: 'a',
        managedFields: [{ manager: 'm', operation: 'Update', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': { '.': {}, 'f:a': {} } } }],
      },
    },
  ],
  ['fields of an inlined message', Pod.schema, { spec: { ephemeralContainers: [{ name: 'e', image: 'i', targetContainerName: 't' }] } }],
];

for (const [what, schema, value] of kept) {
  test(`${what} are kept`, () => assert.deepEqual(roundTrip(value, schema), value));
}

test('maps are in the order of their keys, as upstream has them', () => {
  const ordered = encodeMessage({ data: { a: '1', b: '2', c: '3' } }, ConfigMap.schema);
  assert.deepEqual(encodeMessage({ data: { c: '3', a: '1', b: '2' } }, ConfigMap.schema), ordered);
});

test('an object larger than what the writer keeps comes out whole', () => {
  const data = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`key-${String(i).padStart(2, '0')}`, String(i % 10).repeat(100_000)]));
  assert.deepEqual(roundTrip({ data }, ConfigMap.schema), { data });
  assert.deepEqual(roundTrip({ data: { a: '1' } }, ConfigMap.schema), { data: { a: '1' } });
});

test('lengths around every size of a length', () => {
  for (const length of [0, 1, 39, 40, 41, 126, 127, 128, 129, 16_383, 16_384, 65_535, 65_536, 2_097_151, 2_097_152]) {
    const value = { data: { k: 'x'.repeat(length) } };
    assert.deepEqual(roundTrip(value, ConfigMap.schema), value, String(length));
  }
});

test('a value its schema does not fit is an error, and spoils nothing after it', () => {
  assert.throws(() => encodeMessage({ metadata: { name: 'n', creationTimestamp: 'yesterday' } }, Node.schema));
  assert.deepEqual(roundTrip({ metadata: { name: 'n' } }, Node.schema), { metadata: { name: 'n' } });
});

test('the envelope is as Go writes it', () => {
  const message = encodeMessage({ metadata: { name: 's' }, data: { a: 'Yg==' } }, Secret.schema);
  assert.equal(message.toString('hex'), '0a030a017312060a0161120162');
  const start = '6b3873000a0c0a0276311206536563726574120d';
  assert.equal(wrap('v1', 'Secret', message).toString('hex'), `${start}${message.toString('hex')}1a002200`);
});

test('a list is a message of its metadata and items', () => {
  const metadata = Buffer.from('120137', 'hex');
  const bytes = wrapList('v1', 'SecretList', metadata, [Buffer.from('aa', 'hex'), Buffer.alloc(0)]);
  assert.equal(readEnvelope(bytes).kind, 'SecretList');
  assert.equal(readEnvelope(bytes).raw.toString('hex'), '0a031201371201aa1200');
});

test('a watch event holds its type and the enveloped object', () => {
  assert.equal(watchEventMessage('ADDED', Buffer.from('k8s')).toString('hex'), '0a05414444454412050a036b3873');
});
