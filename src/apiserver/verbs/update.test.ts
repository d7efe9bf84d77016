import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Fixture } from './fixture.ts';

const configMaps = '/api/v1/namespaces/a/configmaps';
const x = `${configMaps}/x`;
const deployments = '/apis/apps/v1/namespaces/a/deployments';
const deployment = {
  metadata: { name: 'd' },
  spec: {
    replicas: 1,
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } },
  },
};

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
  await server.post(configMaps, { metadata: { name: 'x', labels: { l: '1' } }, data: { a: '1' } });
});
afterEach(() => server.close());

test('kinds that never change unconditionally want the version they are updated from', async () => {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/a/leases';
  const lease = { metadata: { name: 'l' }, spec: { holderIdentity: 'me' } };
  const { resourceVersion } = (await server.post(leases, lease)).body.metadata;
  const { code, body } = await server.put(`${leases}/l`, lease);
  assert.equal(code, 422);
  assert.match(body['message'], /metadata\.resourceVersion: Invalid value: .*: must be specified for an update/);
  assert.equal((await server.put(`${leases}/l`, { ...lease, metadata: { name: 'l', resourceVersion } })).code, 200);
});

test('nothing empty is kept in metadata', async () => {
  await server.patch(x, { metadata: { finalizers: ['a.b/c'] } });
  const options = { contentType: 'application/strategic-merge-patch+json' };
  const { body } = await server.patch(x, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a.b/c'], labels: { l: null } } }, options);
  assert.equal('finalizers' in body.metadata, false);
  assert.equal('labels' in body.metadata, false);
  const created = await server.post(configMaps, { metadata: { name: 'e', labels: {}, annotations: {}, finalizers: [], ownerReferences: [] } });
  assert.deepEqual(Object.keys(created.body.metadata).toSorted(), ['creationTimestamp', 'name', 'namespace', 'resourceVersion', 'uid']);
});

test('an update replaces all but what the server keeps', async () => {
  const before = (await server.get(x)).body;
  const { code, body } = await server.put(x, { metadata: { name: 'x', annotations: { n: '1' } }, data: { b: '2' } });
  assert.equal(code, 200);
  assert.deepEqual(body['data'], { b: '2' });
  assert.equal(body.metadata.labels, undefined);
  assert.equal(body.metadata.uid, before.metadata.uid);
  assert.equal(body.metadata.creationTimestamp, before.metadata.creationTimestamp);
  assert.equal(Number(body.metadata.resourceVersion), Number(before.metadata.resourceVersion) + 1);
});

test('an update of an older version is a conflict, in upstream’s words', async () => {
  const before = (await server.get(x)).body;
  await server.put(x, { ...before, data: { a: '2' } });
  const stale = await server.put(x, { ...before, data: { a: '3' } });
  assert.equal(stale.code, 409);
  assert.equal(
    stale.body['message'],
    'Operation cannot be fulfilled on configmaps "x": the object has been modified; please apply your changes to the latest version and try again',
  );
  assert.deepEqual((await server.get(x)).body['data'], { a: '2' });
});

test('an update that changes nothing writes nothing', async () => {
  const before = (await server.get(x)).body;
  await server.world.advance(5_000);
  for (const body of [before, { metadata: { name: 'x', labels: { l: '1' } }, data: { a: '1' } }]) {
    assert.deepEqual((await server.put(x, body)).body, before);
    assert.deepEqual((await server.patch(x, { data: { a: '1' } })).body, before);
  }
  assert.equal(server.store.revision(), Number(before.metadata.resourceVersion));
});

test('updates and patches without a version all get through, however many there are at once', async () => {
  const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
  const replies = await Promise.all(keys.map((key) => server.patch(x, { data: { [key]: 'v' } })));
  assert.deepEqual([...new Set(replies.map(({ code }) => code))], [200]);
  assert.equal(Object.keys((await server.get(x)).body['data']).length, 31);
  const puts = await Promise.all(keys.map((key) => server.put(x, { metadata: { name: 'x' }, data: { [key]: 'v' } })));
  assert.deepEqual([...new Set(puts.map(({ code }) => code))], [200]);
});

const refusals: readonly { name: string; path?: string; body: object; code: number; message: RegExp }[] = [
  {
    name: 'an object that is not there',
    path: `${configMaps}/y`,
    body: { metadata: { name: 'y' } },
    code: 404,
    message: /^configmaps "y" not found$/,
  },
  {
    name: 'another name than the path',
    body: { metadata: { name: 'y' } },
    code: 400,
    message: /^the name of the object \(y\) does not match the name on the URL \(x\)$/,
  },
  {
    name: 'another uid',
    body: { metadata: { name: 'x', uid: 'other' } },
    code: 409,
    message: /Precondition failed: UID in precondition: other, UID in object meta: /,
  },
  {
    name: 'an unknown field, strictly',
    path: `${x}?fieldValidation=Strict`,
    body: { metadata: { name: 'x' }, foo: {} },
    code: 400,
    message: /strict decoding error: unknown field "foo"/,
  },
];
for (const { name, path = x, body, code, message } of refusals) {
  test(`refused: ${name}`, async () => {
    const reply = await server.put(path, body);
    assert.equal(reply.code, code, JSON.stringify(reply.body));
    assert.match(reply.body['message'], message);
  });
}

test('a lease is created by its first update', async () => {
  const { code } = await server.put('/apis/coordination.k8s.io/v1/namespaces/a/leases/l', {
    metadata: { name: 'l' },
    spec: { holderIdentity: 'me' },
  });
  assert.equal(code, 201);
});

test('generation counts changes of the spec, and of nothing else', async () => {
  await server.post(deployments, deployment);
  const generation = async () => (await server.get(`${deployments}/d`)).body.metadata.generation;
  assert.equal(await generation(), 1);
  await server.patch(`${deployments}/d`, { metadata: { labels: { x: 'y' }, generation: 9 } });
  await server.patch(`${deployments}/d/status`, { status: { replicas: 1 } });
  assert.equal(await generation(), 1);
  await server.patch(`${deployments}/d`, { spec: { replicas: 2 } });
  assert.equal(await generation(), 2);
});

test('the status is written through its own path only, and the rest not through that', async () => {
  await server.post(deployments, deployment);
  const main = await server.patch(`${deployments}/d`, { spec: { replicas: 3 }, status: { replicas: 7 } });
  assert.deepEqual(main.body['status'], {});
  const status = await server.patch(`${deployments}/d/status`, {
    metadata: { labels: { z: 'z' } },
    spec: { replicas: 9 },
    status: { replicas: 7, observedGeneration: 2 },
  });
  assert.equal(status.code, 200, JSON.stringify(status.body));
  assert.deepEqual(status.body['status'], { observedGeneration: 2, replicas: 7 });
  assert.equal(status.body['spec'].replicas, 3);
  assert.equal(status.body.metadata.labels, undefined);
  const entries = status.body.metadata.managedFields ?? [];
  assert.deepEqual(
    entries.map(({ subresource }) => subresource),
    [undefined, 'status'],
  );
  const kept = await server.put(`${deployments}/d`, { ...deployment, status: {} });
  assert.deepEqual(kept.body['status'], { observedGeneration: 2, replicas: 7 });
});

test('a patch: JSON, merge and strategic merge', async () => {
  const json = await server.patch(
    x,
    [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'add', path: '/data/b', value: '2' },
    ],
    { contentType: 'application/json-patch+json' },
  );
  assert.deepEqual(json.body['data'], { a: '1', b: '2' });
  const merge = await server.patch(x, { data: { a: null, c: '3' } });
  assert.deepEqual(merge.body['data'], { b: '2', c: '3' });
  await server.post(deployments, deployment);
  const strategic = await server.patch(
    `${deployments}/d`,
    { spec: { template: { spec: { containers: [{ name: 'side', image: 'busybox' }] } } } },
    { contentType: 'application/strategic-merge-patch+json' },
  );
  assert.deepEqual(strategic.body['spec'].template.spec.containers.map((container: { name: string }) => container.name).sort(), ['c', 'side']);
});

test('a patch that names a version conflicts when the object has moved on', async () => {
  const { body } = await server.get(x);
  const { resourceVersion } = body.metadata;
  assert.equal((await server.patch(x, { metadata: { resourceVersion }, data: { a: '2' } })).code, 200);
  assert.equal((await server.patch(x, { metadata: { resourceVersion }, data: { a: '3' } })).code, 409);
});

const strict = `${x}?fieldValidation=Strict`;
const badPatches: readonly { name: string; path?: string; contentType: string; body: object | string; code: number; message: RegExp }[] = [
  {
    name: 'faults of the text first, then unknown fields, strictly',
    path: strict,
    contentType: 'application/merge-patch+json',
    body: '{"data":{"b":"1","b":"2"},"foo":1}',
    code: 422,
    message: /^ "" is invalid: patch: Invalid value: ".*": strict decoding error: duplicate field "data.b", unknown field "foo"$/,
  },
  {
    name: 'an unknown field of a strategic merge patch, strictly; the patch is shown',
    path: strict,
    contentType: 'application/strategic-merge-patch+json',
    body: { foo: 1 },
    code: 422,
    message: /patch: Invalid value: "\{\\"foo\\":1\}": strict decoding error: unknown field "foo"$/,
  },
  {
    name: 'force without apply',
    path: `${x}?force=true`,
    contentType: 'application/merge-patch+json',
    body: {},
    code: 422,
    message: /^PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch$/,
  },
  {
    name: 'an unknown type',
    contentType: 'application/foo',
    body: {},
    code: 415,
    message: /accepted media types include: application\/json-patch\+json/,
  },
  { name: 'a JSON patch that is no list', contentType: 'application/json-patch+json', body: {}, code: 400, message: /jsonpatch.Patch/ },
  {
    name: 'a JSON patch that does not apply',
    contentType: 'application/json-patch+json',
    body: [{ op: 'remove', path: '/data/zz' }],
    code: 422,
    message: /^the server rejected our request due to an error in our request$/,
  },
  { name: 'a merge patch that is a list', contentType: 'application/merge-patch+json', body: [], code: 400, message: /cannot unmarshal array/ },
  {
    name: 'a result of the wrong type',
    contentType: 'application/merge-patch+json',
    body: { data: 5 },
    code: 422,
    message: /cannot unmarshal number/,
  },
  {
    name: 'another name',
    contentType: 'application/merge-patch+json',
    body: { metadata: { name: 'y' } },
    code: 400,
    message: /does not match the name on the URL/,
  },
  {
    name: 'apply without a manager',
    contentType: 'application/apply-patch+yaml',
    body: {},
    code: 422,
    message: /fieldManager: Required value: is required for apply patch/,
  },
];
for (const { name, path = x, contentType, body, code, message } of badPatches) {
  test(`patch refused: ${name}`, async () => {
    const reply = await server.request('PATCH', path, { body, contentType });
    assert.equal(reply.code, code, JSON.stringify(reply.body));
    assert.match(reply.body['message'], message);
  });
}

test('apply creates, changes, is idle when nothing changes, and conflicts with other managers', async () => {
  const y = `${configMaps}/y`;
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'y' }, data: { a: '1' } };
  assert.equal((await server.apply(y, 'one', config)).code, 201);
  const again = await server.apply(y, 'one', config);
  assert.equal(again.code, 200);
  const revision = server.store.revision();
  await server.world.advance(2_000);
  assert.deepEqual((await server.apply(y, 'one', config)).body, again.body);
  assert.equal(server.store.revision(), revision);
  const conflict = await server.apply(y, 'two', { ...config, data: { a: '2' } });
  assert.equal(conflict.code, 409);
  assert.equal(conflict.body['message'], 'Apply failed with 1 conflict: conflict with "one": .data.a');
  const forced = await server.apply(`${y}?force=true`, 'two', { ...config, data: { a: '2' } });
  assert.deepEqual(forced.body['data'], { a: '2' });
  const yaml = await server.patch(`${y}?fieldManager=two`, 'apiVersion: v1\nkind: ConfigMap\ndata: {a: "3"}\n' as never, {
    contentType: 'application/apply-patch+yaml',
  });
  assert.deepEqual(yaml.body['data'], { a: '3' });
});

const container = deployment.spec.template.spec.containers[0];
const badConfigurations = [
  { name: 'two items with one key', containers: [container, container], message: /duplicate entries for key \[name="c"\]/ },
  { name: 'an item without its key', containers: [{ image: 'nginx' }], message: /omits key field "name"/ },
];
for (const { name, containers, message } of badConfigurations) {
  test(`apply refused: ${name}`, async () => {
    const template = { ...deployment.spec.template, spec: { containers } };
    const reply = await server.apply(`${deployments}/d`, 'one', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd' },
      spec: { ...deployment.spec, template },
    });
    assert.equal(reply.code, 400, JSON.stringify(reply.body));
    assert.match(
      reply.body['message'],
      /^failed to create typed patch object \(a\/d; apps\/v1, Kind=Deployment\): \.spec\.template\.spec\.containers/,
    );
    assert.match(reply.body['message'], message);
  });
}

test('a patch with faults warns of them in the same order', async () => {
  const { code, warnings } = await server.request('PATCH', x, {
    body: '{"data":{"b":"1","b":"2"},"foo":1}',
    contentType: 'application/merge-patch+json',
  });
  assert.deepEqual([code, warnings], [200, ['duplicate field "data.b"', 'unknown field "foo"']]);
});

test('a dry run of an update or a patch stores nothing', async () => {
  const before = (await server.get(x)).body;
  assert.deepEqual((await server.put(`${x}?dryRun=All`, { metadata: { name: 'x' }, data: { b: '2' } })).body['data'], { b: '2' });
  assert.deepEqual((await server.patch(`${x}?dryRun=All`, { data: { b: '2' } })).body['data'], { a: '1', b: '2' });
  assert.deepEqual((await server.get(x)).body, before);
});
