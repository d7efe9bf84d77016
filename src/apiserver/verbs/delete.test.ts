import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Fixture } from './fixture.ts';

const configMaps = '/api/v1/namespaces/a/configmaps';
const x = `${configMaps}/x`;
const pods = '/api/v1/namespaces/a/pods';
const pod = { metadata: { name: 'p' }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'nginx' }] } };

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
  await server.post(configMaps, { metadata: { name: 'x' } });
});
afterEach(() => server.close());

test('a delete answers a Status with the uid, and for some kinds the object', async () => {
  const { uid } = (await server.get(x)).body.metadata;
  const { code, body } = await server.delete(x);
  assert.equal(code, 200);
  assert.deepEqual(body, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name: 'x', kind: 'configmaps', uid } });
  assert.equal((await server.delete(x)).code, 404);
  assert.equal((await server.delete('/api/v1/namespaces/a/serviceaccounts/default')).body.kind, 'ServiceAccount');
});

test('preconditions on uid and version', async () => {
  const { uid, resourceVersion } = (await server.get(x)).body.metadata;
  const wrongUid = await server.delete(x, { preconditions: { uid: 'other' } });
  assert.equal(wrongUid.code, 409);
  assert.match(wrongUid.body['message'], /the UID in the precondition \(other\) does not match the UID in record/);
  assert.equal((await server.delete(x, { preconditions: { resourceVersion: '1' } })).code, 409);
  assert.equal((await server.delete(x, { preconditions: { uid, resourceVersion } })).code, 200);
});

test('finalizers hold an object until the last is gone', async () => {
  await server.patch(x, { metadata: { finalizers: ['a.b/one', 'a.b/two'] } });
  const marked = await server.delete(x);
  assert.equal(marked.body.metadata.deletionTimestamp, '2026-01-01T00:00:00Z');
  assert.equal(marked.body.metadata.deletionGracePeriodSeconds, 0);
  const revision = server.store.revision();
  await server.delete(x);
  assert.equal(server.store.revision(), revision, 'deleting again changes nothing');
  const added = await server.patch(x, { metadata: { finalizers: ['a.b/one', 'a.b/two', 'a.b/three'] } });
  assert.match(added.body['message'], /no new finalizers can be added if the object is being deleted/);
  assert.equal((await server.patch(x, { metadata: { finalizers: ['a.b/two'] } })).code, 200);
  assert.equal((await server.get(x)).code, 200);
  const watch = await server.watch(`${configMaps}?resourceVersion=${server.store.revision()}`);
  assert.equal((await server.patch(x, { metadata: { finalizers: null } })).code, 200);
  assert.deepEqual(watch.lines(), ['DELETED x']);
  assert.equal((await server.get(x)).code, 404);
  watch.close();
});

const policies: readonly { policy: object; finalizers: string[] | undefined }[] = [
  { policy: { propagationPolicy: 'Orphan' }, finalizers: ['orphan'] },
  { policy: { orphanDependents: true }, finalizers: ['orphan'] },
  { policy: { propagationPolicy: 'Foreground' }, finalizers: ['foregroundDeletion'] },
  { policy: { propagationPolicy: 'Background' }, finalizers: undefined },
  { policy: {}, finalizers: undefined },
];
for (const { policy, finalizers } of policies) {
  test(`propagation ${JSON.stringify(policy)} leaves ${finalizers?.join() ?? 'nothing'}`, async () => {
    await server.delete(x, policy);
    const { code, body } = await server.get(x);
    assert.equal(code, finalizers ? 200 : 404);
    if (finalizers) assert.deepEqual(body.metadata.finalizers, finalizers);
  });
}

test('delete options: from the query, and checked', async () => {
  assert.equal((await server.delete(`${x}?propagationPolicy=Sideways`)).code, 422);
  assert.equal((await server.delete(x, { kind: 'Pod' })).code, 400);
  assert.equal((await server.delete(`${x}?dryRun=All`)).code, 200);
  assert.equal((await server.get(x)).code, 200);
  assert.deepEqual((await server.delete(`${x}?propagationPolicy=Orphan`)).body.metadata.finalizers, ['orphan']);
});

const refusedOptions: readonly { name: string; options: object; field: string; message: string }[] = [
  {
    name: 'an unknown policy',
    options: { propagationPolicy: 'Sideways' },
    field: 'propagationPolicy',
    message: 'Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"',
  },
  {
    name: 'a policy in both forms',
    options: { propagationPolicy: 'Orphan', orphanDependents: true },
    field: 'propagationPolicy',
    message: 'Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
  },
  { name: 'an unknown dry run', options: { dryRun: ['Some'] }, field: 'dryRun', message: 'Unsupported value: ["Some"]: supported values: "All"' },
  {
    name: 'ignoring read errors, and more besides',
    options: { ignoreStoreReadErrorWithClusterBreakingPotential: true, gracePeriodSeconds: 0 },
    field: 'ignoreStoreReadErrorWithClusterBreakingPotential',
    message: 'Invalid value: true: cannot be set together with .gracePeriodSeconds',
  },
];
for (const { name, options, field, message } of refusedOptions) {
  test(`delete options refused: ${name}`, async () => {
    const { code, body } = await server.delete(x, options);
    assert.equal(code, 422);
    assert.deepEqual(
      body['details'].causes.map((cause: { field: string; message: string }) => [cause.field, cause.message]),
      [[field, message]],
    );
    assert.equal((await server.get(x)).code, 200);
  });
}

test('options in the body count, and those in the query then do not', async () => {
  assert.equal((await server.delete(`${x}?dryRun=All`, { kind: 'DeleteOptions', apiVersion: 'v1', unknown: 1 })).code, 200);
  assert.equal((await server.get(x)).code, 404);
});

test('who asks in the older way for dependents to go is told that the object is not gone yet', async () => {
  await server.patch(x, { metadata: { finalizers: ['a.b/c'] } });
  assert.equal((await server.delete(x, { orphanDependents: false })).code, 202);
});

test('a policy given later replaces the one before', async () => {
  await server.delete(x, { propagationPolicy: 'Orphan' });
  assert.deepEqual((await server.delete(x)).body.metadata.finalizers, ['orphan'], 'none keeps it');
  assert.deepEqual((await server.delete(x, { propagationPolicy: 'Foreground' })).body.metadata.finalizers, ['foregroundDeletion']);
  assert.equal((await server.delete(x, { propagationPolicy: 'Background' })).code, 200);
  assert.equal((await server.get(x)).code, 404);
});

test('a deletion is neither begun nor called off by an update', async () => {
  const early = await server.patch(x, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 } });
  assert.equal(early.body.metadata.deletionTimestamp, undefined);
  await server.patch(x, { metadata: { finalizers: ['a.b/c'] } });
  const { body } = await server.delete(x);
  const late = await server.put(x, { metadata: { name: 'x', finalizers: ['a.b/c'] } });
  assert.equal(late.body.metadata.deletionTimestamp, body.metadata.deletionTimestamp);
  const moved = await server.patch(x, { metadata: { deletionTimestamp: '2030-01-01T00:00:00Z' } });
  assert.equal(moved.code, 422);
  assert.equal((await server.patch(x, { data: { a: '1' } })).code, 200, 'the rest may be written');
});

test('jobs and replication controllers leave their pods behind unless told otherwise, and a job says so', async () => {
  const template = { metadata: { labels: { a: 'b' } }, spec: { restartPolicy: 'Never', containers: pod.spec.containers } };
  const jobs = '/apis/batch/v1/namespaces/a/jobs';
  await server.post(jobs, { metadata: { name: 'j' }, spec: { template } });
  const open = await server.delete(`${jobs}/j`);
  assert.deepEqual(open.body.metadata.finalizers, ['orphan']);
  assert.match(open.warnings.join(), /^child pods are preserved by default when jobs are deleted; set propagationPolicy=Background/);
  const decided = await server.delete(`${jobs}/j`, { propagationPolicy: 'Background' });
  assert.deepEqual(decided.warnings, []);
  assert.equal((await server.get(`${jobs}/j`)).code, 404);

  const controllers = '/api/v1/namespaces/a/replicationcontrollers';
  const always = { ...template, spec: { containers: pod.spec.containers } };
  await server.post(controllers, { metadata: { name: 'r' }, spec: { selector: { a: 'b' }, template: always } });
  const left = await server.delete(`${controllers}/r`);
  assert.deepEqual([left.body.metadata.finalizers, left.warnings], [['orphan'], []]);
  assert.equal((await server.delete(`${controllers}/r`, { orphanDependents: false })).code, 200);
});

test('a pod on a node is marked, may be hurried, and goes when the kubelet says so', async () => {
  await server.post(pods, pod);
  const marked = await server.delete(`${pods}/p`);
  assert.equal(marked.code, 200);
  assert.equal(marked.body.metadata.deletionTimestamp, '2026-01-01T00:00:30Z');
  assert.equal(marked.body.metadata.deletionGracePeriodSeconds, 30);
  const slower = await server.delete(`${pods}/p`, { gracePeriodSeconds: 60 });
  assert.equal(slower.body.metadata.deletionGracePeriodSeconds, 30);
  const faster = await server.delete(`${pods}/p`, { gracePeriodSeconds: 5 });
  assert.equal(faster.body.metadata.deletionTimestamp, '2026-01-01T00:00:05Z');
  assert.equal(faster.body.metadata.deletionGracePeriodSeconds, 5);
  assert.equal((await server.get(`${pods}/p`)).code, 200);
  assert.equal((await server.delete(`${pods}/p`, { gracePeriodSeconds: 0 })).body.kind, 'Pod');
  assert.equal((await server.get(`${pods}/p`)).code, 404);
});

test('a pod that is on no node goes at once', async () => {
  await server.post(pods, { ...pod, spec: { containers: pod.spec.containers } });
  await server.delete(`${pods}/p`);
  assert.equal((await server.get(`${pods}/p`)).code, 404);
});

test('a collection is deleted by selectors', async () => {
  for (const name of ['k1', 'k2']) await server.post(configMaps, { metadata: { name, labels: { l: 'k' } } });
  const { code, body } = await server.delete(`${configMaps}?labelSelector=l%3Dk`);
  assert.equal(code, 200);
  assert.deepEqual(
    body.items?.map((item) => item.metadata.name),
    ['k1', 'k2'],
  );
  assert.deepEqual(
    (await server.get(configMaps)).body.items?.map((item) => item.metadata.name),
    ['x'],
  );
});

test('a collection is deleted in pages, each with the objects as they were', async () => {
  for (const name of ['k1', 'k2', 'k3']) await server.post(configMaps, { metadata: { name, labels: { l: 'k' } } });
  const names = async () => ((await server.get(configMaps)).body.items ?? []).map(({ metadata }) => metadata.name);
  const first = await server.delete(`${configMaps}?limit=2`);
  assert.deepEqual(
    first.body.items?.map(({ metadata }) => metadata.name),
    ['k1', 'k2'],
  );
  assert.equal(first.body.metadata.remainingItemCount, 2);
  assert.deepEqual(await names(), ['k3', 'x']);
  const rest = await server.delete(`${configMaps}?limit=2&continue=${first.body.metadata.continue}`);
  assert.equal(rest.body.metadata.continue, undefined);
  assert.deepEqual(await names(), []);
});

test('a collection in which one object may not go says so; dry runs and finalizers hold', async () => {
  await server.post(configMaps, { metadata: { name: 'held', finalizers: ['a.b/c'] } });
  const dry = await server.delete(`${configMaps}?dryRun=All`);
  assert.deepEqual([dry.code, dry.body.items?.length], [200, 2]);
  assert.equal((await server.get(x)).code, 200);
  const refused = await server.delete(configMaps, { preconditions: { uid: 'other' } });
  assert.equal(refused.code, 409);
  const unsafe = await server.delete(configMaps, { ignoreStoreReadErrorWithClusterBreakingPotential: true });
  assert.match(unsafe.body['message'], /is not allowed with DELETECOLLECTION, try again after removing the option$/);
  assert.equal((await server.delete(configMaps)).code, 200);
  const left = (await server.get(configMaps)).body.items ?? [];
  assert.deepEqual(
    left.map(({ metadata }) => [metadata.name, metadata.deletionTimestamp !== undefined]),
    [['held', true]],
  );
});

test('a namespace terminates: no new content, gone when finalized', async () => {
  const marked = await server.delete('/api/v1/namespaces/a');
  assert.equal(marked.body['status'].phase, 'Terminating');
  const created = await server.post(configMaps, { metadata: { name: 'late' } });
  assert.equal(created.code, 403);
  assert.equal(created.body['message'], 'configmaps "late" is forbidden: unable to create new content in namespace a because it is being terminated');
  assert.deepEqual(created.body['details'].causes, [
    { reason: 'NamespaceTerminating', message: 'namespace a is being terminated', field: 'metadata.namespace' },
  ]);
  assert.equal((await server.patch(x, { data: { a: '1' } })).code, 200, 'what is there can be changed');
  const direct = await server.patch('/api/v1/namespaces/a', { spec: { finalizers: [] } });
  assert.deepEqual(direct.body['spec'].finalizers, ['kubernetes'], 'the spec’s finalizers have their own path');
  const finalized = await server.put('/api/v1/namespaces/a/finalize', { ...marked.body, metadata: { name: 'a' }, spec: { finalizers: [] } });
  assert.equal(finalized.code, 200, JSON.stringify(finalized.body));
  assert.equal((await server.get('/api/v1/namespaces/a')).code, 404);
});

test('the system’s namespaces stay', async () => {
  await server.post('/api/v1/namespaces', { metadata: { name: 'default' } });
  const { code, body } = await server.delete('/api/v1/namespaces/default');
  assert.equal(code, 403);
  assert.equal(body['message'], 'namespaces "default" is forbidden: this namespace may not be deleted');
});

test('concurrent deletes and writes of one object end in its deletion', async () => {
  const outcomes = await Promise.all([
    ...Array.from({ length: 10 }, () => server.patch(x, { data: { n: 'v' } })),
    server.delete(x),
    server.delete(x),
  ]);
  assert.ok(
    outcomes.every(({ code }) => code === 200 || code === 404),
    JSON.stringify(outcomes.map(({ code }) => code)),
  );
  assert.equal((await server.get(x)).code, 404);
});
