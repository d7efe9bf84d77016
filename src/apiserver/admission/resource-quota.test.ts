import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Fixture, type Reply } from '../verbs/fixture.ts';

const base = '/api/v1/namespaces/a';
let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

/** A quota as its controller would have left it. */
async function makeQuota(hard: Record<string, string>, more: object = {}, used?: Record<string, string>): Promise<void> {
  const made = await server.post(`${base}/resourcequotas`, { metadata: { name: 'q' }, spec: { hard, ...more } });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  const zero = Object.fromEntries(Object.keys(hard).map((name) => [name, '0']));
  const counted = await server.patch(`${base}/resourcequotas/q/status`, { status: { hard, used: { ...zero, ...used } } });
  assert.equal(counted.code, 200, JSON.stringify(counted.body));
}

async function used(): Promise<Record<string, string>> {
  return (await server.get(`${base}/resourcequotas/q`)).body['status'].used;
}

function makePod(name: string, spec: object = {}, resources: object = {}): Promise<Reply> {
  return server.post(`${base}/pods`, { metadata: { name }, spec: { containers: [{ name: 'c', image: 'nginx', resources }], ...spec } });
}

test('a quota of two pods takes two of twenty that come at once, and counts two', async () => {
  await makeQuota({ pods: '2' });
  const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => makePod(`p${i}`)));
  assert.equal(replies.filter(({ code }) => code === 201).length, 2);
  const refused = replies.find(({ code }) => code === 403);
  assert.match(String(refused?.body['message']), /^pods "p\d+" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2$/);
  assert.deepEqual(await used(), { pods: '2' });
});

test('the charge and a count made by the controller do not overwrite each other', async () => {
  await makeQuota({ configmaps: '1000' });
  const before = await server.get(`${base}/resourcequotas/q`);
  const made = await Promise.all(Array.from({ length: 10 }, (_, i) => server.post(`${base}/configmaps`, { metadata: { name: `c${i}` } })));
  assert(made.every(({ code }) => code === 201));
  const stale = await server.put(`${base}/resourcequotas/q/status`, {
    ...before.body,
    status: { hard: { configmaps: '1000' }, used: { configmaps: '0' } },
  });
  assert.equal(stale.code, 409);
  assert.deepEqual(await used(), { configmaps: '10' });
});

test('what is not stored is not counted', async () => {
  await makeQuota({ configmaps: '10' });
  assert.equal((await server.post(`${base}/configmaps?dryRun=All`, { metadata: { name: 'dry' } })).code, 201);
  assert.equal((await server.post(`${base}/configmaps`, { metadata: { name: 'c' } })).code, 201);
  assert.equal((await server.post(`${base}/configmaps`, { metadata: { name: 'c' } })).code, 409);
  assert.equal((await server.post(`${base}/configmaps`, { metadata: { name: 'UPPER' } })).code, 422);
  assert.deepEqual(await used(), { configmaps: '1' });
});

test('compute resources: every container says what it needs, and init containers, side cars and overhead count as they run', async () => {
  await makeQuota({ 'requests.cpu': '1', 'limits.memory': '1Gi' });
  const silent = await makePod('silent');
  assert.equal(silent.body['message'], 'pods "silent" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c');
  const spec = {
    initContainers: [
      { name: 'car', image: 'x', restartPolicy: 'Always', resources: { requests: { cpu: '100m' }, limits: { memory: '100Mi' } } },
      { name: 'init', image: 'x', resources: { requests: { cpu: '600m' }, limits: { memory: '10Mi' } } },
    ],
  };
  const made = await makePod('p', spec, { requests: { cpu: '200m' }, limits: { memory: '200Mi' } });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  assert.deepEqual(await used(), { 'requests.cpu': '700m', 'limits.memory': '300Mi' });
  const more = await makePod('more', {}, { requests: { cpu: '301m' }, limits: { memory: '1Mi' } });
  assert.equal(
    more.body['message'],
    'pods "more" is forbidden: exceeded quota: q, requested: requests.cpu=301m, used: requests.cpu=700m, limited: requests.cpu=1',
  );
});

test('a quota looks at what is in its scope', async () => {
  await makeQuota({ pods: '0' }, { scopes: ['BestEffort'] });
  assert.equal((await makePod('best')).code, 403);
  assert.equal((await makePod('burst', {}, { requests: { cpu: '1' } })).code, 201);
});

test('a quota for a priority class', async () => {
  const scopeSelector = { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['system-node-critical'] }] };
  await makeQuota({ pods: '0' }, { scopeSelector });
  assert.equal((await makePod('high', { priorityClassName: 'system-node-critical' })).code, 403);
  assert.equal((await makePod('low')).code, 201);
});

test('services by type, also when the type changes; any kind by count/', async () => {
  await makeQuota({ services: '5', 'services.nodeports': '1', 'count/deployments.apps': '0' });
  const service = { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } };
  assert.equal((await server.post(`${base}/services`, service)).code, 201);
  assert.deepEqual(await used(), { services: '1', 'services.nodeports': '0', 'count/deployments.apps': '0' });
  assert.equal((await server.patch(`${base}/services/s`, { spec: { type: 'NodePort' } })).code, 200);
  assert.equal((await used())['services.nodeports'], '1');
  const second = await server.post(`${base}/services`, { metadata: { name: 't' }, spec: { type: 'NodePort', ports: [{ port: 80 }] } });
  assert.match(
    second.body['message'],
    /exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1/,
  );
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x' }] } };
  const deployment = { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } };
  const refused = await server.post('/apis/apps/v1/namespaces/a/deployments', deployment);
  assert.match(refused.body['message'], /^deployments.apps "d" is forbidden: exceeded quota: q, requested: count\/deployments.apps=1/);
});

test('claims by size and class', async () => {
  const gold = 'gold.storageclass.storage.k8s.io';
  await makeQuota({ 'requests.storage': '3Gi', [`${gold}/persistentvolumeclaims`]: '1' });
  const claim = (name: string, storage: string): Promise<Reply> =>
    server.post(`${base}/persistentvolumeclaims`, {
      metadata: { name },
      spec: { storageClassName: 'gold', accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
    });
  assert.equal((await claim('c', '2Gi')).code, 201);
  assert.deepEqual(await used(), { 'requests.storage': '2Gi', [`${gold}/persistentvolumeclaims`]: '1' });
  assert.match((await claim('d', '2Gi')).body['message'], /requests.storage=2Gi/);
});

test('a quota nobody has counted yet bounds nothing, and one half counted refuses', async () => {
  await server.post(`${base}/resourcequotas`, { metadata: { name: 'q' }, spec: { hard: { pods: '0' } } });
  assert.equal((await makePod('p')).code, 201);
  await server.patch(`${base}/resourcequotas/q/status`, { status: { hard: { pods: '0' } } });
  assert.match((await makePod('r')).body['message'], /status unknown for quota: q, resources: pods/);
});
