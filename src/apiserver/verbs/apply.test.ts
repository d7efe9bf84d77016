/** Server-side apply as clients see it: who owns what after which request. The algorithm's own cases are in `machinery/apply.test.ts`. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Fixture, type Reply } from './fixture.ts';

const configMaps = '/api/v1/namespaces/a/configmaps';
const x = `${configMaps}/x`;
const deployments = '/apis/apps/v1/namespaces/a/deployments';
const d = `${deployments}/d`;

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

function configMap(data: object, metadata: object = {}): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', ...metadata }, data };
}

function deployment(spec: object = {}): object {
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template, ...spec } };
}

/** Who has what: `manager operation[ subresource] apiVersion`, and the fields. */
function owners({ body }: Reply): Record<string, unknown> {
  return Object.fromEntries(
    (body.metadata.managedFields ?? []).map(({ manager, operation, subresource, apiVersion, fieldsV1 }) => [
      [manager, operation, ...(subresource === undefined ? [] : [subresource]), apiVersion].join(' '),
      fieldsV1,
    ]),
  );
}

const refusals: readonly { name: string; path?: string; query?: string; body: object | string; code: number; message: string | RegExp }[] = [
  { name: 'no field manager', query: '', body: configMap({}), code: 422, message: /fieldManager: Required value: is required for apply patch$/ },
  {
    name: 'a field manager of 129 bytes',
    query: `fieldManager=${'m'.repeat(129)}`,
    body: configMap({}),
    code: 422,
    message: /fieldManager: Invalid value: ".*": may not be more than 128 bytes$/,
  },
  {
    name: 'a field manager that cannot be printed',
    query: 'fieldManager=a%0Ab',
    body: configMap({}),
    code: 422,
    message: /fieldManager: Invalid value: "a\\nb": should only contain printable characters$/,
  },
  {
    name: 'another name',
    body: { ...configMap({}), metadata: { name: 'y' } },
    code: 400,
    message: 'the name of the object (y) does not match the name on the URL (x)',
  },
  {
    name: 'another version',
    body: { ...configMap({}), apiVersion: 'v2' },
    code: 400,
    message: 'Incorrect version specified in apply patch. Specified patch version: v2, expected: v1',
  },
  { name: 'managed fields', body: configMap({}, { managedFields: [{ manager: 'x' }] }), code: 400, message: 'metadata.managedFields must be nil' },
  {
    name: 'a field the type does not have, whatever the validation',
    query: 'fieldManager=m&fieldValidation=Ignore',
    body: { ...configMap({}), foo: 1 },
    code: 400,
    message: 'failed to create typed patch object (a/x; v1, Kind=ConfigMap): .foo: field not declared in schema',
  },
  {
    name: 'two of them',
    body: { ...configMap({}), foo: 1, bar: 1 },
    code: 400,
    message:
      'failed to create typed patch object (a/x; v1, Kind=ConfigMap): errors:\n  .foo: field not declared in schema\n  .bar: field not declared in schema',
  },
  {
    name: 'a key that stands twice, strictly',
    query: 'fieldManager=m&fieldValidation=Strict',
    body: 'apiVersion: v1\nkind: ConfigMap\ndata:\n  a: "1"\n  a: "2"\n',
    code: 400,
    message: /^error strict decoding YAML: yaml: unmarshal errors:\n {2}line 5: key "a" already set in map$/,
  },
  { name: 'a status of what is not there', path: `${d}/status`, body: deployment(), code: 404, message: 'deployments.apps "d" not found' },
  {
    name: 'a scale of what is not there',
    path: `${d}/scale`,
    body: { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'd' }, spec: { replicas: 1 } },
    code: 404,
    message: 'deployments/scale.apps "d" not found',
  },
];
for (const { name, path = x, query = 'fieldManager=m', body, code, message } of refusals) {
  test(`refused: ${name}`, async () => {
    const reply = await server.request('PATCH', `${path}?${query}`, { body, contentType: 'application/apply-patch+yaml' });
    assert.equal(reply.code, code, JSON.stringify(reply.body));
    if (typeof message === 'string') assert.equal(reply.body['message'], message);
    else assert.match(reply.body['message'], message);
    assert.equal((await server.get(x)).code, 404);
  });
}

test('a field manager of 128 bytes is enough', async () => {
  assert.equal((await server.apply(x, 'm'.repeat(128), configMap({}))).code, 201);
});

test('who updates is known by user agent, unless it says otherwise', async () => {
  await server.post(configMaps, configMap({ a: '1' }), { userAgent: 'kubectl/v1.35.0 (linux/amd64)' });
  await server.patch(x, { data: { b: '1' } }, { userAgent: '' });
  const reply = await server.patch(`${x}?fieldManager=me`, { data: { c: '1' } }, { userAgent: 'kubectl/v1.35.0' });
  assert.deepEqual(owners(reply), {
    'kubectl Update v1': { 'f:data': { '.': {}, 'f:a': {} } },
    'unknown Update v1': { 'f:data': { 'f:b': {} } },
    'me Update v1': { 'f:data': { 'f:c': {} } },
  });
});

test('the status is owned apart, and through its own path only', async () => {
  await server.apply(d, 'one', { ...deployment(), status: { replicas: 3 } });
  const config = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', labels: { l: '1' } },
    spec: { replicas: 9 },
    status: { replicas: 2 },
  };
  const reply = await server.apply(`${d}/status`, 'one', config);
  assert.equal(reply.code, 200, JSON.stringify(reply.body));
  assert.deepEqual([reply.body['status'].replicas, reply.body['spec'].replicas, reply.body.metadata.labels], [2, 1, undefined]);
  assert.deepEqual(owners(reply)['one Apply status apps/v1'], { 'f:status': { 'f:replicas': {} } });
  assert.equal(JSON.stringify(owners(reply)['one Apply apps/v1']).includes('status'), false);
  const other = await server.apply(`${d}/status`, 'two', { ...config, status: { replicas: 5 } });
  assert.equal(other.body['message'], 'Apply failed with 1 conflict: conflict with "one" with subresource "status": .status.replicas');
  const given = await server.apply(`${d}/status`, 'one', { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' } });
  assert.deepEqual(given.body['status'], {});
});

describe('the scale', () => {
  const scale = (replicas?: number): object => ({
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name: 'd' },
    spec: replicas === undefined ? {} : { replicas },
  });
  beforeEach(async () => {
    await server.apply(d, 'one', deployment({ replicas: 1 }));
  });

  test('conflicts with who applied the replicas', async () => {
    const { code, body } = await server.apply(`${d}/scale`, 'hpa', scale(3));
    assert.equal(code, 409);
    assert.equal(body['message'], 'Apply failed with 1 conflict: conflict with "one": .spec.replicas');
  });
  test('takes them by force, and is what others then conflict with', async () => {
    const forced = await server.apply(`${d}/scale?force=true`, 'hpa', scale(3));
    assert.deepEqual([forced.code, forced.body.kind, forced.body['spec']], [200, 'Scale', { replicas: 3 }]);
    const entries = owners(await server.get(d));
    assert.deepEqual(entries['hpa Apply scale apps/v1'], { 'f:spec': { 'f:replicas': {} } });
    assert.equal(JSON.stringify(entries['one Apply apps/v1']).includes('f:replicas'), false);
    const again = await server.apply(d, 'one', deployment({ replicas: 1 }));
    assert.equal(again.body['message'], 'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale": .spec.replicas');
  });
  test('of the same value is shared', async () => {
    assert.equal((await server.apply(`${d}/scale`, 'hpa', scale(1))).code, 200);
    assert.deepEqual(Object.keys(owners(await server.get(d))).sort(), ['hpa Apply scale apps/v1', 'one Apply apps/v1']);
  });
  test('updated by another verb is tracked, too', async () => {
    await server.patch(`${d}/scale`, { spec: { replicas: 4 } }, { userAgent: 'kubectl/v1' });
    assert.deepEqual(owners(await server.get(d))['kubectl Update scale apps/v1'], { 'f:spec': { 'f:replicas': {} } });
  });
  test('is checked', async () => {
    assert.equal((await server.apply(`${d}/scale?force=true`, 'hpa', scale(-1))).code, 422);
    assert.equal((await server.apply(`${d}/scale`, 'hpa', { ...scale(1), apiVersion: 'apps/v1' })).code, 400);
  });
});

describe('an object of several versions', () => {
  const v1 = '/apis/autoscaling/v1/namespaces/a/horizontalpodautoscalers';
  const v2 = '/apis/autoscaling/v2/namespaces/a/horizontalpodautoscalers';
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' };
  const inV1 = (target: number, more: object = {}): object => ({
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'h' },
    spec: { scaleTargetRef, maxReplicas: 5, targetCPUUtilizationPercentage: target, ...more },
  });
  const inV2 = (target: number, more: object = {}): object => ({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'h' },
    spec: {
      scaleTargetRef,
      maxReplicas: 5,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: target } } }],
      ...more,
    },
  });

  test('is owned in the version each wrote in', async () => {
    assert.equal((await server.apply(`${v1}/h`, 'one', inV1(50))).code, 201);
    const reply = await server.patch(`${v1}/h`, { spec: { minReplicas: 2 } }, { userAgent: 'edit' });
    assert.deepEqual(owners(reply), {
      'one Apply autoscaling/v1': {
        'f:spec': { 'f:maxReplicas': {}, 'f:scaleTargetRef': {}, 'f:targetCPUUtilizationPercentage': {} },
      },
      'edit Update autoscaling/v1': { 'f:spec': { 'f:minReplicas': {} } },
    });
  });
  test('conflicts across versions, in the words of the other', async () => {
    await server.apply(`${v1}/h`, 'one', inV1(50));
    const { code, body } = await server.apply(`${v2}/h`, 'two', inV2(60));
    assert.equal(code, 409, JSON.stringify(body));
    assert.equal(body['message'], 'Apply failed with 1 conflict: conflict with "one": .spec.targetCPUUtilizationPercentage');
    assert.equal((await server.apply(`${v2}/h`, 'two', inV2(50))).code, 200, 'the same value is shared');
    const forced = await server.apply(`${v2}/h?force=true`, 'two', inV2(60));
    assert.equal(JSON.stringify(owners(forced)['one Apply autoscaling/v1']).includes('targetCPU'), false);
  });
  test('keeps what another version owns when one gives it up', async () => {
    await server.apply(`${v1}/h`, 'one', inV1(50, { minReplicas: 2 }));
    await server.apply(`${v2}/h`, 'two', inV2(50, { minReplicas: 2 }));
    const { metrics: _, ...spec } = (inV2(50) as { spec: Record<string, unknown> }).spec;
    const given = await server.apply(`${v2}/h`, 'two', { ...inV2(50), spec });
    assert.equal(given.body['spec'].minReplicas, 2);
    assert.equal((await server.get(`${v1}/h`)).body['spec'].targetCPUUtilizationPercentage, 50, 'still owned through v1');
  });
  test('changes the version of a manager that applies in another one', async () => {
    await server.apply(`${v1}/h`, 'one', inV1(50, { minReplicas: 2 }));
    const reply = await server.apply(`${v2}/h`, 'one', inV2(50));
    assert.deepEqual(Object.keys(owners(reply)), ['one Apply autoscaling/v2']);
    assert.equal(reply.body['spec'].minReplicas, 1, 'given up, and so defaulted');
  });
});

test('client-side apply is taken over by kubectl without conflict, and by nobody else', async () => {
  const config = configMap({ a: '1', gone: '1' });
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(config) };
  await server.post(`${configMaps}?fieldManager=kubectl-client-side-apply`, configMap({ a: '1', gone: '1' }, { annotations }));
  assert.equal((await server.apply(x, 'other', configMap({ a: '2' }))).code, 409);
  const taken = await server.apply(x, 'kubectl', configMap({ a: '2' }));
  assert.equal(taken.code, 200, JSON.stringify(taken.body));
  assert.deepEqual(JSON.parse(taken.body.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'] ?? '').data, { a: '2' });
});

test('managed fields can be cleared, which starts over', async () => {
  for (const cleared of [[], [{}]]) {
    await server.apply(x, 'one', configMap({ a: '1' }));
    const { body } = await server.patch(x, { metadata: { managedFields: cleared } });
    assert.equal(body.metadata.managedFields, undefined);
    const conflict = await server.apply(x, 'two', configMap({ a: '2' }));
    assert.equal(conflict.body['message'], 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a');
    await server.delete(x);
  }
});

test('managed fields that make no sense are ignored', async () => {
  const { body } = await server.apply(x, 'one', configMap({ a: '1' }));
  const bad = [{ manager: 'x', operation: 'Sing', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': {} } }];
  const kept = await server.patch(x, { metadata: { managedFields: bad } });
  assert.deepEqual(kept.body.metadata.managedFields, body.metadata.managedFields);
});

test('dry runs of create and change tell all and store nothing', async () => {
  const created = await server.apply(`${x}?dryRun=All`, 'one', configMap({ a: '1' }));
  assert.deepEqual([created.code, Object.keys(owners(created))], [201, ['one Apply v1']]);
  assert.equal((await server.get(x)).code, 404);
  await server.apply(x, 'one', configMap({ a: '1' }));
  const before = (await server.get(x)).body;
  assert.deepEqual((await server.apply(`${x}?dryRun=All`, 'one', configMap({ b: '1' }))).body['data'], { b: '1' });
  assert.equal((await server.apply(`${x}?dryRun=All`, 'two', configMap({ a: '2' }))).code, 409);
  assert.deepEqual((await server.get(x)).body, before);
});

test('a version or uid in the configuration means one object', async () => {
  assert.equal((await server.apply(x, 'one', configMap({}, { resourceVersion: '1' }))).code, 404);
  assert.equal((await server.apply(x, 'one', configMap({}, { uid: 'u' }))).code, 409);
  const { body } = await server.apply(x, 'one', configMap({ a: '1' }));
  const { resourceVersion } = body.metadata;
  assert.equal((await server.apply(x, 'one', configMap({ a: '2' }, { resourceVersion }))).code, 200);
  assert.equal((await server.apply(x, 'one', configMap({ a: '3' }, { resourceVersion }))).code, 409);
  assert.equal((await server.apply(x, 'one', configMap({ a: '3' }, { uid: 'u' }))).code, 409);
});

describe('a custom resource', () => {
  const foos = '/apis/example.com/v1/namespaces/a/foos';
  const f = `${foos}/f`;
  const foo = (spec: object, version = 'v1'): object => ({ apiVersion: `example.com/${version}`, kind: 'Foo', metadata: { name: 'f' }, spec });
  const string = { type: 'string' };
  const schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          set: { type: 'array', 'x-kubernetes-list-type': 'set', items: string },
          atomic: { type: 'array', items: string },
          map: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['host', 'port'],
            items: {
              type: 'object',
              required: ['host'],
              properties: { host: string, port: { type: 'integer', default: 80 }, to: string },
            },
          },
          whole: { type: 'object', 'x-kubernetes-map-type': 'atomic', additionalProperties: string },
          free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
      status: { type: 'object', properties: { ready: { type: 'boolean' } } },
    },
  };
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'foos.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'foos', kind: 'Foo' },
      versions: ['v1', 'v2'].map((name) => ({
        name,
        served: true,
        storage: name === 'v1',
        schema: { openAPIV3Schema: schema },
        subresources: { status: {} },
      })),
    },
  };
  beforeEach(async () => {
    assert.equal((await server.post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition)).code, 201);
    await server.world.advance(6_000);
  });

  test('merges sets, maps by several keys, and free fields; replaces what is atomic', async () => {
    await server.apply(f, 'one', foo({ set: ['a', 'b'], atomic: ['a'], map: [{ host: 'h', to: '1' }], whole: { a: '1' }, free: { a: { b: 1 } } }));
    const reply = await server.apply(f, 'two', foo({ set: ['c'], map: [{ host: 'h', port: 81, to: '2' }], free: { a: { c: [1] } } }));
    assert.equal(reply.code, 200, JSON.stringify(reply.body));
    assert.deepEqual(reply.body['spec'], {
      set: ['a', 'b', 'c'],
      atomic: ['a'],
      map: [
        { host: 'h', port: 80, to: '1' },
        { host: 'h', port: 81, to: '2' },
      ],
      whole: { a: '1' },
      free: { a: { b: 1, c: [1] } },
    });
    assert.deepEqual(owners(reply), {
      'one Apply example.com/v1': {
        'f:spec': {
          'f:atomic': {},
          'f:free': { 'f:a': { '.': {}, 'f:b': {} } },
          'f:map': { 'k:{"host":"h","port":80}': { '.': {}, 'f:host': {}, 'f:to': {} } },
          'f:set': { 'v:"a"': {}, 'v:"b"': {} },
          'f:whole': {},
        },
      },
      'two Apply example.com/v1': {
        'f:spec': {
          'f:free': { 'f:a': { '.': {}, 'f:c': {} } },
          'f:map': { 'k:{"host":"h","port":81}': { '.': {}, 'f:host': {}, 'f:port': {}, 'f:to': {} } },
          'f:set': { 'v:"c"': {} },
        },
      },
    });
    const conflicts = await server.apply(f, 'two', foo({ set: ['c'], atomic: ['b'], whole: { b: '1' }, map: [{ host: 'h', to: '9' }] }));
    assert.equal(
      conflicts.body['message'],
      'Apply failed with 3 conflicts: conflicts with "one":\n- .spec.atomic\n- .spec.map[host="h",port=80].to\n- .spec.whole',
    );
    const given = await server.apply(f, 'one', foo({ set: ['b'] }));
    assert.deepEqual(given.body['spec'], { set: ['b', 'c'], map: [{ host: 'h', port: 81, to: '2' }], free: { a: { c: [1] } } });
  });
  test('is owned through the version it was written in, with one set of paths', async () => {
    await server.apply(f, 'one', foo({ set: ['a'] }));
    const other = f.replace('v1', 'v2');
    const reply = await server.patch(other, { spec: { atomic: ['x'] } }, { userAgent: 'edit' });
    assert.deepEqual(Object.keys(owners(reply)), ['one Apply example.com/v1', 'edit Update example.com/v2']);
    const conflict = await server.apply(f, 'one', foo({ set: ['a'], atomic: ['y'] }));
    assert.equal(conflict.body['message'], 'Apply failed with 1 conflict: conflict with "edit" using example.com/v2: .spec.atomic');
    const moved = await server.apply(other, 'one', foo({}, 'v2'));
    assert.deepEqual(moved.body['spec'], { atomic: ['x'] });
  });
  test('refuses what its schema does not have', async () => {
    const { code, body } = await server.apply(f, 'one', foo({ typo: 1 }));
    assert.equal(code, 400);
    assert.equal(body['message'], 'failed to create typed patch object (a/f; example.com/v1, Kind=Foo): .spec.typo: field not declared in schema');
  });
});
