import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deepFreeze } from './clone.ts';
import { decodeObject } from './decode.ts';
import type { Schema } from './schema.ts';
import { configMap, deployment, field, map, object, pod, text } from './test-schema.ts';

test('a valid value is copied as it is', () => {
  const value = deepFreeze({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', labels: { a: 'b' }, creationTimestamp: '2024-05-06T07:08:09Z' },
    spec: {
      containers: [{ name: 'c', image: 'x', stdin: true, ports: [{ containerPort: 80 }], resources: { limits: { cpu: '100m' } } }],
      priority: -5,
    },
  });
  const { object, unknownFields, typeErrors } = decodeObject(value, pod);
  assert.deepEqual(object, value);
  assert.deepEqual([unknownFields, typeErrors], [[], []]);
  assert.notEqual(object['spec'], value.spec);
});

test('nulls are left out, but stand for zero in lists and maps', () => {
  const { object, typeErrors } = decodeObject(
    { metadata: { labels: { a: null }, name: null }, spec: { containers: [null], nodeSelector: null } },
    pod,
  );
  assert.deepEqual(object, { metadata: { labels: { a: '' } }, spec: { containers: [{}] } });
  assert.deepEqual(typeErrors, []);
});

test('unknown fields are left out and named; names are case-sensitive', () => {
  const { object, unknownFields } = decodeObject(
    { Kind: 'x', spec: { foo: 1, containers: [{ name: 'a' }, { imagee: 'x' }] }, metadata: { labels: { free: '' } } },
    pod,
  );
  assert.deepEqual(unknownFields, ['Kind', 'spec.foo', 'spec.containers[1].imagee']);
  assert.deepEqual(object, { spec: { containers: [{ name: 'a' }, {}] }, metadata: { labels: { free: '' } } });
});

describe('wrong types', () => {
  const cases: readonly [string, unknown, string][] = [
    [
      'an object for a list',
      { spec: { containers: {} } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      'a number for a string',
      { spec: { containers: [{ image: 5 }] } },
      'json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string',
    ],
    [
      'a string for an integer',
      { spec: { priority: '5' } },
      'json: cannot unmarshal string into Go struct field PodSpec.spec.priority of type int32',
    ],
    ['a fraction', { spec: { priority: 1.5 } }, 'json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32'],
    [
      'too large',
      { spec: { priority: 2147483648 } },
      'json: cannot unmarshal number 2147483648 into Go struct field PodSpec.spec.priority of type int32',
    ],
    [
      'a string for a boolean',
      { spec: { containers: [{ stdin: 'true' }] } },
      'json: cannot unmarshal string into Go struct field Container.spec.containers.stdin of type bool',
    ],
    ['a list for an object', { spec: [] }, 'json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec'],
    [
      'a number in a map',
      { metadata: { labels: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels.a of type string',
    ],
    [
      'a string for a map',
      { metadata: { labels: 'a' } },
      'json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string',
    ],
    [
      'not a quantity',
      { spec: { containers: [{ resources: { limits: { cpu: 'lots' } } }] } },
      "spec.containers[0].resources.limits.cpu: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [
      'not a time',
      { metadata: { creationTimestamp: 'now' } },
      'metadata.creationTimestamp: parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as RFC 3339',
    ],
    ['not an object at all', [], 'json: cannot unmarshal array into Go value of type v1.Pod'],
    ['null', null, 'json: cannot unmarshal null into Go value of type v1.Pod'],
  ];
  for (const [name, value, message] of cases) test(name, () => assert.deepEqual(decodeObject(value, pod).typeErrors, [message]));

  test('all of them are reported', () => {
    assert.equal(decodeObject({ kind: 1, spec: { priority: 'x', restartPolicy: 2 } }, pod).typeErrors.length, 3);
  });
  test('base64', () => {
    assert.deepEqual(decodeObject({ binaryData: { a: 'aGk=', b: 'aG\nk=' } }, configMap).object, { binaryData: { a: 'aGk=', b: 'aGk=' } });
    assert.deepEqual(decodeObject({ binaryData: { a: 'a*k=' } }, configMap).typeErrors, ['binaryData.a: illegal base64 data at input byte 1']);
    assert.deepEqual(decodeObject({ binaryData: { a: 'aGk' } }, configMap).typeErrors, ['binaryData.a: illegal base64 data at input byte 0']);
  });
});

test('quantities and times come out in canonical form', () => {
  const { object } = decodeObject(
    {
      metadata: { creationTimestamp: '2024-05-06T09:08:09.5+02:00' },
      spec: { containers: [{ resources: { limits: { cpu: 0.5, memory: '1024Mi' } } }] },
    },
    pod,
  );
  assert.deepEqual(object, {
    metadata: { creationTimestamp: '2024-05-06T07:08:09Z' },
    spec: { containers: [{ resources: { limits: { cpu: '500m', memory: '1Gi' } } }] },
  });
});

test('int-or-string takes both', () => {
  const rollingUpdate = { maxSurge: 1, maxUnavailable: '25%' };
  assert.deepEqual(decodeObject({ spec: { strategy: { rollingUpdate } } }, deployment).object, { spec: { strategy: { rollingUpdate } } });
});

test('where unknown fields are preserved they stay, nulls and all', () => {
  const free = { ...object('', { known: text }), preserveUnknown: true };
  const value = { known: 'a', other: { x: [null, { y: null }] } };
  assert.deepEqual(decodeObject(value, free), { object: value, unknownFields: [], typeErrors: [] });
});

test('a schema that holds itself', () => {
  const properties: Record<string, ReturnType<typeof field>> = {};
  const node: Schema & { type: 'object' } = { ...object('x.v1.Node', {}), properties };
  properties['children'] = field(map(node));
  assert.deepEqual(decodeObject({ children: { a: { children: { b: { oops: 1 } } } } }, node).unknownFields, ['children.a.children.b.oops']);

  let deep: object = {};
  for (let i = 0; i < 5000; i++) deep = { children: { a: deep } };
  assert.match(decodeObject(deep, node).typeErrors[0] ?? '', /too deeply nested/);
});

test('a key called __proto__ is a plain key of a map', () => {
  const { object } = decodeObject(JSON.parse('{"data":{"__proto__":"x"}}'), configMap);
  assert.deepEqual(Object.keys(object['data'] as object), ['__proto__']);
});

test('what was decoded before, and is the very same, is shared; metadata never is', () => {
  const known = { metadata: { name: 'p', labels: { a: 'b' } }, spec: { priority: 1 } };
  const { object } = decodeObject({ ...known, kind: 'Pod' }, pod, known);
  assert.deepEqual(object, { ...known, kind: 'Pod' });
  assert.equal(object['spec'], known.spec);
  assert.notEqual(object['metadata'], known.metadata);
  const { metadata } = object as { metadata: { labels: unknown } } & typeof object;
  assert.equal(metadata.labels, known.metadata.labels);
  assert.notEqual(decodeObject({ ...known, spec: { priority: 1 } }, pod, known).object['spec'], known.spec);
  assert.notEqual(decodeObject(known, pod).object['spec'], known.spec);
});
