import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Fixture } from '../fixture.ts';

const pods = '/api/v1/namespaces/a/pods';
const deployments = '/apis/apps/v1/namespaces/a/deployments';
const budgets = '/apis/policy/v1/namespaces/a/poddisruptionbudgets';
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } };

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

test('scale shows and sets the replicas of a deployment', async () => {
  const scale = `${deployments}/d/scale`;
  await server.post(deployments, { metadata: { name: 'd' }, spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template } });
  const { body } = await server.get(scale);
  const { uid, resourceVersion, creationTimestamp } = (await server.get(`${deployments}/d`)).body.metadata;
  assert.deepEqual(body, {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name: 'd', namespace: 'a', uid, resourceVersion, creationTimestamp },
    spec: { replicas: 2 },
    status: { replicas: 0, selector: 'app=web' },
  });
  assert.equal((await server.put(scale, { ...body, spec: { replicas: 5 } })).body['spec'].replicas, 5);
  assert.equal((await server.put(scale, { ...body, spec: { replicas: 6 } })).code, 409, 'of an older version');
  assert.deepEqual((await server.patch(scale, { spec: { replicas: 0 } })).body['spec'], {});
  const deployment = (await server.get(`${deployments}/d`)).body;
  assert.equal(deployment['spec'].replicas, 0);
  assert.equal(deployment.metadata.generation, 3);
  assert.equal(
    (await server.patch(scale, { spec: { replicas: -1 } })).body['message'],
    'Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
  );
  const missing = await server.get(`${deployments}/none/scale`);
  assert.equal(missing.body['message'], 'deployments/scale.apps "none" not found');
});

test('scale of a replication controller reads its plain selector', async () => {
  const controllers = '/api/v1/namespaces/a/replicationcontrollers';
  await server.post(controllers, { metadata: { name: 'r' }, spec: { replicas: 1, selector: { app: 'web' }, template } });
  assert.equal((await server.get(`${controllers}/r/scale`)).body['status'].selector, 'app=web');
});

async function makePod(name: string, status?: object): Promise<void> {
  await server.post(pods, { metadata: { name, labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } });
  if (status) {
    await server.post(`${pods}/${name}/binding`, { target: { kind: 'Node', name: 'n' } });
    const reply = await server.patch(`${pods}/${name}/status`, { status });
    assert.equal(reply.code, 200, JSON.stringify(reply.body));
  }
}

test('a binding puts a pod on a node once', async () => {
  await makePod('p');
  const bind = (body: object) => server.post(`${pods}/p/binding`, body);
  assert.match((await bind({ target: { kind: 'Node' } })).body['message'], /target.name: Required value/);
  assert.match((await bind({ target: { kind: 'Disk', name: 'x' } })).body['message'], /target.kind: Unsupported value: "Disk"/);
  const first = await bind({ metadata: { annotations: { why: 'fits' } }, target: { kind: 'Node', name: 'n1' } });
  assert.equal(first.code, 201);
  assert.equal(first.body['status'], 'Success');
  const pod = (await server.get(`${pods}/p`)).body;
  assert.equal(pod['spec'].nodeName, 'n1');
  assert.equal(pod.metadata.annotations?.['why'], 'fits');
  assert.equal(pod['status'].conditions.find((condition: { type: string }) => condition.type === 'PodScheduled').status, 'True');
  const second = await bind({ target: { kind: 'Node', name: 'n2' } });
  assert.equal(second.code, 409);
  assert.equal(second.body['message'], 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"');
  assert.equal((await server.post(`${pods}/none/binding`, { target: { name: 'n' } })).code, 404);
});

test('of two schedulers that bind the same pod one wins', async () => {
  await makePod('p');
  const replies = await Promise.all(
    ['n1', 'n2', 'n3'].map((name) => server.post('/api/v1/namespaces/a/bindings', { metadata: { name: 'p' }, target: { name } })),
  );
  assert.deepEqual(
    replies.map(({ code }) => code).toSorted((a, b) => a - b),
    [201, 409, 409],
  );
});

const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };

async function makeBudget(status: object, spec: object = {}): Promise<void> {
  const made = await server.post(budgets, { metadata: { name: 'b' }, spec: { minAvailable: 1, selector: { matchLabels: { app: 'web' } }, ...spec } });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  const set = await server.patch(`${budgets}/b/status`, {
    status: { observedGeneration: 1, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1, disruptionsAllowed: 0, ...status },
  });
  assert.equal(set.code, 200, JSON.stringify(set.body));
}

const evict = (name: string, body: object = {}) =>
  server.post(`${pods}/${name}/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name }, ...body });

test('an eviction without a budget is a delete that says why', async () => {
  await makePod('p', ready);
  const { code, body } = await evict('p');
  assert.equal(code, 201);
  assert.equal(body['status'], 'Success');
  const pod = (await server.get(`${pods}/p`)).body;
  assert.equal(pod.metadata.deletionGracePeriodSeconds, 30);
  const condition = pod['status'].conditions.find(({ type }: { type: string }) => type === 'DisruptionTarget');
  assert.equal(condition.reason, 'EvictionByEvictionAPI');
  assert.equal(condition.observedGeneration, 1);
});

test('an eviction may come in the version of clients before v1.22', async () => {
  await makePod('p', { phase: 'Running' });
  assert.equal((await evict('p', { apiVersion: 'policy/v1beta1' })).code, 201);
  assert.equal((await evict('p', { apiVersion: 'policy/v1alpha1' })).code, 400);
});

test('an eviction that a budget does not allow is 429 with its cause', async () => {
  await makePod('p', ready);
  await makeBudget({ disruptionsAllowed: 0 });
  const { code, body } = await evict('p');
  assert.equal(code, 429);
  assert.equal(body['message'], "Cannot evict pod as it would violate the pod's disruption budget.");
  assert.deepEqual(body['details'].causes, [
    { reason: 'DisruptionBudget', message: 'The disruption budget b needs 1 healthy pods and has 1 currently' },
  ]);
  assert.equal((await server.get(`${pods}/p`)).body.metadata.deletionTimestamp, undefined);
});

test('concurrent evictions use up a budget exactly', async () => {
  const names = ['p1', 'p2', 'p3', 'p4'];
  for (const name of names) await makePod(name, ready);
  await makeBudget({ disruptionsAllowed: 2, currentHealthy: 4, desiredHealthy: 2 });
  const replies = await Promise.all(names.map((name) => evict(name)));
  assert.deepEqual(
    replies.map(({ code }) => code).toSorted((a, b) => a - b),
    [201, 201, 429, 429],
  );
  const status = (await server.get(`${budgets}/b`)).body['status'];
  assert.equal(status.disruptionsAllowed, 0);
  assert.equal(Object.keys(status.disruptedPods).length, 2);
});

test('a budget not yet seen by its controller refuses, a pod that does not run is not its concern', async () => {
  await makePod('p', ready);
  await makeBudget({ observedGeneration: 0, disruptionsAllowed: 1 });
  assert.match((await evict('p')).body['details'].causes[0].message, /still being processed by the server/);
  await makePod('pending');
  assert.equal((await evict('pending')).code, 201);
});

test('a pod that is not ready may be evicted when the budget is met without it, or always', async () => {
  await makePod('p', { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] });
  await makeBudget({ currentHealthy: 0, desiredHealthy: 1 });
  assert.equal((await evict('p')).code, 429);
  await server.patch(budgets + '/b/status', { status: { currentHealthy: 1 } });
  assert.equal((await evict('p', { deleteOptions: { dryRun: ['All'] } })).code, 201);
  assert.equal((await server.get(`${pods}/p`)).body.metadata.deletionTimestamp, undefined, 'a dry run');
});

test('ephemeral containers are added through their own path, and never removed', async () => {
  await makePod('p', ready);
  const path = `${pods}/p/ephemeralcontainers`;
  const debug = { name: 'debug', image: 'busybox' };
  const added = await server.patch(path, { spec: { ephemeralContainers: [debug] } }, { contentType: 'application/strategic-merge-patch+json' });
  assert.equal(added.code, 200, JSON.stringify(added.body));
  assert.equal(added.body['spec'].ephemeralContainers[0].name, 'debug');
  const removed = await server.patch(path, { spec: { ephemeralContainers: null } });
  assert.equal(removed.code, 422);
  assert.match(removed.body['message'], /existing ephemeral containers "debug" may not be removed/);
});

test('resize changes resources and nothing else', async () => {
  const requests = { cpu: '50m' };
  await server.post(pods, { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'nginx', resources: { requests } }] } });
  const body = { spec: { containers: [{ name: 'c', image: 'other', resources: { requests: { cpu: '100m' } } }] } };
  const resized = await server.patch(`${pods}/p/resize`, body, { contentType: 'application/strategic-merge-patch+json' });
  assert.equal(resized.code, 200, JSON.stringify(resized.body));
  const [container] = resized.body['spec'].containers;
  assert.deepEqual([container.image, container.resources], ['nginx', { requests: { cpu: '100m' } }]);
  const other = await server.patch(
    `${pods}/p/resize`,
    { spec: { containers: [{ name: 'c', resources: { requests: null } }] } },
    { contentType: 'application/strategic-merge-patch+json' },
  );
  assert.match(other.body['message'], /Pod QOS Class may not change as a result of resizing/);
});

test('resize changes the resources of a pod as a whole, and takes none away', async () => {
  const whole = (cpu: string | null): object => ({ resources: { requests: { cpu }, limits: { cpu: '1' } } });
  const containers = [{ name: 'c', image: 'nginx' }];
  await server.post(pods, { metadata: { name: 'whole' }, spec: { containers, ...whole('100m') } });
  const strategic = { contentType: 'application/strategic-merge-patch+json' };
  const resized = await server.patch(`${pods}/whole/resize`, { spec: whole('200m') }, strategic);
  assert.equal(resized.code, 200, JSON.stringify(resized.body));
  assert.deepEqual(resized.body['spec'].resources, { requests: { cpu: '200m' }, limits: { cpu: '1' } });
  assert.equal(resized.body['metadata'].generation, 2);
  const removed = await server.patch(`${pods}/whole/resize`, { spec: whole(null) }, strategic);
  assert.match(removed.body['message'], /spec\.resources\.requests: Forbidden: resource requests cannot be removed/);
  const elsewhere = await server.patch(`${pods}/whole`, { spec: whole('300m') }, strategic);
  assert.equal(elsewhere.code, 422);
});

test('an unknown subresource is not found, and a known one knows its verbs', async () => {
  assert.equal((await server.get(`${pods}/p/nothing`)).code, 404);
  assert.equal((await server.request('GET', `${pods}/p/eviction`)).code, 405);
});
