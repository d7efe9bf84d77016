import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, test, type TestContext } from 'node:test';
import { Fixture, type Reply } from '../../verbs/fixture.ts';
import { type Answerer, patching, startTestWebhook, type TestWebhook } from './test-webhook.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const maps = '/api/v1/namespaces/a/configmaps';
let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

async function webhook(t: TestContext, answer: Answerer, names: readonly string[] = []): Promise<TestWebhook> {
  const started = await startTestWebhook(answer, names);
  t.after(() => started.close());
  return started;
}

const onConfigMaps = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] };

/** Registers hooks of one configuration: path and what differs from the usual. */
async function register(type: 'mutating' | 'validating', { url, caBundle }: TestWebhook, hooks: Readonly<Record<string, object>>): Promise<void> {
  const webhooks = Object.entries(hooks).map(([name, more]) => ({
    name: `${name}.example.com`,
    clientConfig: { url: url(`/${name}`), caBundle },
    rules: [onConfigMaps],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...more,
  }));
  const made = await server.post(`${group}/${type}webhookconfigurations`, { metadata: { name: type }, webhooks });
  assert.equal(made.code, 201, JSON.stringify(made.body));
}

function makeMap(name: string, data: object = {}, query = ''): Promise<Reply> {
  return server.post(maps + query, { metadata: { name, labels: { app: name } }, data });
}

test('a refusal, with message and code, or without', async (t) => {
  const hook = await webhook(t, ({ name }) =>
    name === 'plain' ? { allowed: false } : { allowed: name === 'ok', status: { code: 403, message: 'not that one' }, warnings: ['look out'] },
  );
  await register('validating', hook, { deny: {} });
  const refused = await makeMap('bad');
  assert.deepEqual(
    [refused.code, refused.body['message'], refused.body['reason']],
    [403, 'admission webhook "deny.example.com" denied the request: not that one', ''],
  );
  const plain = await makeMap('plain');
  assert.deepEqual([plain.code, plain.body['message']], [400, 'admission webhook "deny.example.com" denied the request without explanation']);
  const fine = await makeMap('ok');
  assert.deepEqual([fine.code, fine.warnings], [201, ['look out']]);
});

test('what a webhook is told of each operation', async (t) => {
  const hook = await webhook(t, () => ({ allowed: true }));
  await register('validating', hook, { see: {} });
  await makeMap('m', { a: '1' });
  await server.patch(`${maps}/m`, { data: { a: '2' } });
  await server.delete(`${maps}/m`);
  const told = hook.asked.map(({ request }) => [
    request.operation,
    request.name,
    request.oldObject?.data.a,
    request.object?.data.a,
    request.userInfo.username,
  ]);
  assert.deepEqual(told, [
    ['CREATE', 'm', undefined, '1', 'admin'],
    ['UPDATE', 'm', '1', '2', 'admin'],
    ['DELETE', 'm', '2', undefined, 'admin'],
  ]);
  assert.deepEqual(hook.asked[0]?.request.kind, { group: '', version: 'v1', kind: 'ConfigMap' });
});

test('patches go through decoding, one after the other; who asked for it looks again', async (t) => {
  const hook = await webhook(t, ({ object }, path) => {
    if (path === '/first')
      return patching({ op: 'add', path: '/data', value: { ...object.data, first: String(Object.keys(object.data ?? {}).length) } });
    return patching({ op: 'add', path: '/data/second', value: 'x' });
  });
  await register('mutating', hook, { first: { reinvocationPolicy: 'IfNeeded' }, second: {} });
  const made = await makeMap('m', { own: '1' });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  assert.deepEqual(made.body['data'], { own: '1', first: '3', second: 'x' });
  assert.deepEqual(
    hook.asked.map(({ path }) => path),
    ['/first', '/second', '/first'],
  );
});

test('containers a webhook adds are looked at by the plugins before it', async (t) => {
  const sideCar = { name: 'car', image: 'x' };
  const hook = await webhook(t, () => patching({ op: 'add', path: '/spec/containers/-', value: sideCar }));
  await register('mutating', hook, { inject: { rules: [{ ...onConfigMaps, operations: ['CREATE'], resources: ['pods'] }] } });
  const { body } = await server.post('/api/v1/namespaces/a/pods', { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'x' }] } });
  const [, added] = body['spec'].containers;
  assert.equal(added.imagePullPolicy, 'Always', 'defaults');
  assert.equal(added.volumeMounts.length, 1, 'the account’s token');
});

test('selectors and rules decide who is asked', async (t) => {
  const hook = await webhook(t, () => ({ allowed: true }));
  await register('validating', hook, {
    object: { objectSelector: { matchLabels: { app: 'one' } } },
    namespace: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'b' } } },
    deletes: { rules: [{ ...onConfigMaps, operations: ['DELETE'] }] },
    status: { rules: [{ ...onConfigMaps, resources: ['configmaps/status'] }] },
    cluster: { rules: [{ ...onConfigMaps, resources: ['*'], scope: 'Cluster' }] },
    all: { rules: [{ operations: ['CREATE'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }] },
  });
  await makeMap('two');
  assert.deepEqual(
    hook.asked.map(({ path }) => path),
    ['/all'],
  );
  await makeMap('one');
  assert.deepEqual(
    hook.asked
      .slice(1)
      .map(({ path }) => path)
      .toSorted(),
    ['/all', '/object'],
  );
});

test('match conditions: those that hold ask, those that fail refuse, or leave out', async (t) => {
  const hook = await webhook(t, () => ({ allowed: true }));
  const when = (expression: string): object => ({ matchConditions: [{ name: 'when', expression }] });
  await register('validating', hook, {
    yes: when("object.metadata.name == 'm' && request.operation == 'CREATE'"),
    no: when("request.userInfo.username != 'admin'"),
    open: { ...when('object.data.nope'), failurePolicy: 'Ignore' },
  });
  assert.equal((await makeMap('m')).code, 201);
  assert.deepEqual(
    hook.asked.map(({ path }) => path),
    ['/yes'],
  );
  await register('mutating', hook, { closed: when('object.data.nope') });
  const refused = await makeMap('n');
  assert.equal(refused.code, 403);
  assert.match(refused.body['message'], /failed to evaluate match conditions of webhook "closed.example.com": when: /);
});

test('a webhook that cannot be asked refuses, unless it says otherwise', async (t) => {
  const hook = await webhook(t, () => undefined);
  const nobody = { url: 'https://127.0.0.1:1/x', caBundle: hook.caBundle };
  await register('validating', hook, { open: { clientConfig: nobody, failurePolicy: 'Ignore' } });
  assert.equal((await makeMap('m')).code, 201);
  await register('mutating', hook, { closed: { clientConfig: nobody } });
  const refused = await makeMap('n');
  assert.equal(refused.code, 500);
  assert.match(
    refused.body['message'],
    /^Internal error occurred: failed calling webhook "closed.example.com": failed to call webhook: Post "https:\/\/127.0.0.1:1\/x\?timeout=10s": /,
  );
});

test('a webhook that does not answer in time', async (t) => {
  const { promise: arrived, resolve } = Promise.withResolvers<void>();
  const hook = await webhook(t, () => {
    resolve();
    return undefined;
  });
  await register('validating', hook, { slow: { timeoutSeconds: 3 } });
  const pending = makeMap('m');
  await arrived;
  await server.world.advance(3_000);
  assert.match((await pending).body['message'], /failed calling webhook "slow.example.com": failed to call webhook: .*no answer within 3000 ms/);
});

test('behind a Service: by its endpoints’ address, under its name', async (t) => {
  const hook = await webhook(t, () => ({ allowed: false }), ['hook.a.svc']);
  const clientConfig = { service: { name: 'hook', namespace: 'a', path: '/v', port: 443 }, caBundle: hook.caBundle };
  await register('validating', hook, { service: { clientConfig } });
  const missing = await makeMap('m');
  assert.match(missing.body['message'], /Post "https:\/\/hook.a.svc:443\/v\?timeout=10s": service "hook" not found/);
  await server.post('/api/v1/namespaces/a/services', { metadata: { name: 'hook' }, spec: { ports: [{ port: 443 }] } });
  assert.match((await makeMap('m')).body['message'], /no endpoints available for service "hook"/);
  const ownAddress = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (ownAddress === undefined) return t.skip('slices take no loopback addresses, and this machine has no other');
  const slice = {
    metadata: { name: 'hook', labels: { 'kubernetes.io/service-name': 'hook' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [ownAddress] }],
    ports: [{ port: hook.port }],
  };
  const made = await server.post('/apis/discovery.k8s.io/v1/namespaces/a/endpointslices', slice);
  assert.equal(made.code, 201);
  const refused = await makeMap('m');
  assert.equal(refused.body['message'], 'admission webhook "service.example.com" denied the request without explanation');
  return undefined;
});

test('an answer that is none', async (t) => {
  const hook = await webhook(t, (_request, path) => (path === '/uid' ? { uid: 'other', allowed: true } : { allowed: true, patch: 'W10=' }));
  await register('mutating', hook, { uid: {} });
  assert.match((await makeMap('m')).body['message'], /expected response.uid="[^"]+", got "other"/);
  await server.delete(`${group}/mutatingwebhookconfigurations/mutating`);
  await register('mutating', hook, { patch: {} });
  assert.match((await makeMap('m')).body['message'], /webhook returned response.patch but not response.patchType/);
});

test('the configurations themselves are not asked about', async (t) => {
  const hook = await webhook(t, () => ({ allowed: false }));
  await register('validating', hook, { all: { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }] } });
  assert.equal((await makeMap('m')).code, 400);
  assert.equal((await server.delete(`${group}/validatingwebhookconfigurations/validating`)).code, 200);
  assert.equal((await makeMap('m')).code, 201);
});
