import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Fixture } from './fixture.ts';

const configMaps = '/api/v1/namespaces/a/configmaps';
const pods = '/api/v1/namespaces/a/pods';
const container = { name: 'c', image: 'nginx' };

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

test('a created object gets its identity from the server', async () => {
  const given = {
    name: 'x',
    uid: 'mine',
    creationTimestamp: '2001-01-01T00:00:00Z',
    generation: 7,
    deletionTimestamp: '2001-01-01T00:00:00Z',
    selfLink: '/x',
  };
  const { code, body } = await server.post(configMaps, { metadata: given, data: { a: '1' } });
  assert.equal(code, 201);
  const { uid, creationTimestamp, resourceVersion, namespace, ...rest } = body.metadata;
  assert.match(uid, /^[0-9a-f-]{36}$/);
  assert.equal(creationTimestamp, '2026-01-01T00:00:00Z');
  assert.equal(namespace, 'a');
  assert.equal(resourceVersion, String(server.store.revision()));
  assert.deepEqual(Object.keys(rest).sort(), ['managedFields', 'name']);
});

test('the answer, GET, LIST and the watch event are the same bytes', async () => {
  const watch = await server.watch(`${configMaps}?resourceVersion=${server.store.revision()}`);
  const created = await server.post(configMaps, { metadata: { name: 'x' }, data: { a: '1' } });
  assert.deepEqual((await server.get(`${configMaps}/x`)).body, created.body);
  assert.deepEqual((await server.get(configMaps)).body.items, [created.body]);
  assert.deepEqual(watch.events, [{ type: 'ADDED', object: created.body }]);
  watch.close();
});

test('creating what is there is AlreadyExists, and says when it is being deleted', async () => {
  await server.post(configMaps, { metadata: { name: 'x', finalizers: ['a.b/c'] } });
  const again = await server.post(configMaps, { metadata: { name: 'x' } });
  assert.equal(again.code, 409);
  assert.deepEqual(again.body['details'], { name: 'x', kind: 'configmaps' });
  assert.equal(again.body['message'], 'configmaps "x" already exists');
  await server.delete(`${configMaps}/x`);
  const late = await server.post(configMaps, { metadata: { name: 'x' } });
  assert.equal(late.body['message'], 'object is being deleted: configmaps "x" already exists');
});

test('of many concurrent creates of one name exactly one succeeds', async () => {
  const replies = await Promise.all(Array.from({ length: 20 }, () => server.post(configMaps, { metadata: { name: 'x' } })));
  assert.deepEqual(
    replies.map(({ code }) => code).toSorted((a, b) => a - b),
    [201, ...Array.from({ length: 19 }, () => 409)],
  );
});

test('generateName appends five characters to at most 58, and tries again when taken', async () => {
  const { body } = await server.post(configMaps, { metadata: { generateName: 'job-' } });
  assert.match(body.metadata.name, /^job-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  assert.equal(body.metadata.generateName, 'job-');
  const long = await server.post(configMaps, { metadata: { generateName: 'n'.repeat(70) } });
  assert.equal(long.body.metadata.name.length, 63);

  // The next names of this seed are taken by another server's hand.
  const twin = await Fixture.open({ seed: 5 });
  const first = await twin.post(configMaps, { metadata: { generateName: 'x-' } });
  await twin.close();
  const repeated = await Fixture.open({ seed: 5 });
  const value = Buffer.from(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"${first.body.metadata.name}","namespace":"a"}}`);
  await repeated.store.commit([{ type: 'put', key: `/registry/core/configmaps/a/${first.body.metadata.name}`, value }]);
  const second = await repeated.post(configMaps, { metadata: { generateName: 'x-' } });
  assert.equal(second.code, 201);
  assert.notEqual(second.body.metadata.name, first.body.metadata.name);
  await repeated.close();
});

test('status is the server’s to write, and there from the start', async () => {
  const { body } = await server.post(pods, {
    metadata: { name: 'p' },
    spec: { containers: [container] },
    status: { phase: 'Running', podIP: '1.2.3.4' },
  });
  assert.deepEqual(body['status'], { phase: 'Pending', qosClass: 'BestEffort' });
  assert.equal(body.metadata.generation, 1);
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } };
  const deployment = await server.post('/apis/apps/v1/namespaces/a/deployments', {
    metadata: { name: 'd' },
    spec: { selector: { matchLabels: { a: 'b' } }, template },
    status: { replicas: 3 },
  });
  assert.deepEqual(deployment.body['status'], {});
});

test('a node registers with its status', async () => {
  const { body } = await server.post('/api/v1/nodes', { metadata: { name: 'n' }, status: { capacity: { cpu: '2' } } });
  assert.equal(body['status'].capacity.cpu, '2');
});

test('a dry run answers what would be, and stores nothing', async () => {
  const before = server.store.revision();
  const { code, body } = await server.post(`${configMaps}?dryRun=All`, { metadata: { name: 'x' }, data: { a: '1' } });
  assert.equal(code, 201);
  assert.ok(body.metadata.uid);
  assert.equal(server.store.revision(), before);
  assert.equal((await server.get(`${configMaps}/x`)).code, 404);
  assert.equal((await server.post(`${configMaps}?dryRun=Some`, { metadata: { name: 'x' } })).code, 422);
});

const refusals: readonly { name: string; path?: string; body: object | string; contentType?: string; code: number; message: RegExp }[] = [
  {
    name: 'a namespace that is not there',
    path: '/api/v1/namespaces/none/configmaps',
    body: { metadata: { name: 'x' } },
    code: 404,
    message: /^namespaces "none" not found$/,
  },
  {
    name: 'another namespace than the path',
    body: { metadata: { name: 'x', namespace: 'b' } },
    code: 400,
    message: /^the namespace of the provided object does not match the namespace sent on the request$/,
  },
  { name: 'no name', body: { metadata: {} }, code: 422, message: /metadata.name: Required value: name or generateName is required/ },
  {
    name: 'a resource version',
    body: { metadata: { name: 'x', resourceVersion: '5' } },
    code: 400,
    message: /^resourceVersion should not be set on objects to be created$/,
  },
  {
    name: 'another kind',
    body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } },
    code: 400,
    message: /^Secret in version "v1" cannot be handled as a ConfigMap/,
  },
  {
    name: 'another version',
    body: { apiVersion: 'v9', kind: 'ConfigMap', metadata: { name: 'x' } },
    code: 400,
    message: /^ConfigMap in version "v9" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v9"/,
  },
  {
    name: 'another group of the same version',
    body: { apiVersion: 'apps/v1', kind: 'ConfigMap', metadata: { name: 'x' } },
    code: 400,
    message: /^the API version in the data \(apps\/v1\) does not match the expected API version \(v1\)$/,
  },
  {
    name: 'a wrong type',
    body: { metadata: { name: 'x' }, data: 'text' },
    code: 400,
    message:
      /^ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal string into Go struct field ConfigMap.data of type map\[string\]string$/,
  },
  {
    name: 'JSON that ends early',
    body: '{"metadata":',
    code: 400,
    message:
      /^the object provided is unrecognized \(must be of type ConfigMap\): couldn't get version\/kind; json parse error: unexpected end of JSON input/,
  },
  { name: 'JSON that is no object', body: '[]', code: 400, message: /^the object provided is unrecognized \(must be of type ConfigMap\)/ },
  { name: 'malformed YAML', body: 'metadata: {name: x', contentType: 'application/yaml', code: 400, message: /^error decoding YAML/ },
  {
    name: 'another media type',
    body: 'x',
    contentType: 'application/vnd.kubernetes.protobuf',
    code: 415,
    message: /accepted media types include: application\/json, application\/yaml, application\/vnd.kubernetes.protobuf$/,
  },
  {
    name: 'an unknown field, strictly',
    path: `${configMaps}?fieldValidation=Strict`,
    body: { metadata: { name: 'x' }, foo: 1, data: {} },
    code: 400,
    message: /strict decoding error: unknown field "foo"$/,
  },
  {
    name: 'an unknown way of validation',
    path: `${configMaps}?fieldValidation=Sometimes`,
    body: { metadata: { name: 'x' } },
    code: 422,
    message: /^CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Sometimes"/,
  },
];
for (const { name, path = configMaps, body, contentType, code, message } of refusals) {
  test(`refused: ${name}`, async () => {
    const reply = await server.post(path, body, contentType === undefined ? {} : { contentType });
    assert.equal(reply.code, code, JSON.stringify(reply.body));
    assert.match(reply.body['message'], message);
  });
}

test('unknown fields are dropped with a warning, or silently when asked so', async () => {
  const warned = await server.post(configMaps, { metadata: { name: 'x', colour: 'red' }, data: {} });
  assert.deepEqual(warned.warnings, ['unknown field "metadata.colour"']);
  assert.equal('colour' in warned.body.metadata, false);
  assert.deepEqual((await server.post(`${configMaps}?fieldValidation=Ignore`, { metadata: { name: 'y' }, foo: 1 })).warnings, []);
});

test('YAML is as good as JSON, and its dates stay strings', async () => {
  const yaml =
    'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  annotations: {day: "2020-01-02"}\ndata:\n  a: |\n    two\n    lines\n  b: "yes"\n';
  const { code, body } = await server.post(configMaps, yaml, { contentType: 'application/yaml' });
  assert.equal(code, 201);
  assert.deepEqual(body['data'], { a: 'two\nlines\n', b: 'yes' });
});

test('who wrote which fields is noted by manager', async () => {
  const named = await server.post(`${configMaps}?fieldManager=me`, { metadata: { name: 'x' }, data: { a: '1' } });
  assert.equal(named.body.metadata.managedFields?.[0]?.manager, 'me');
  const unnamed = await server.post(configMaps, { metadata: { name: 'y' }, data: { a: '1' } }, { userAgent: 'kubectl/v1.35.0 (linux/amd64)' });
  assert.deepEqual(unnamed.body.metadata.managedFields, [
    {
      manager: 'kubectl',
      operation: 'Update',
      apiVersion: 'v1',
      time: '2026-01-01T00:00:00Z',
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:data': { '.': {}, 'f:a': {} } },
    },
  ]);
});

test('events expire by themselves', async () => {
  const events = '/api/v1/namespaces/a/events';
  const made = await server.post(events, {
    metadata: { name: 'e' },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'a' },
    reason: 'Because',
    type: 'Normal',
  });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  await server.world.advance(3_599_000);
  assert.equal((await server.get(`${events}/e`)).code, 200);
  await server.world.advance(10_000);
  assert.equal((await server.get(`${events}/e`)).code, 404);
});
