/** The conformance behaviours of admission webhooks, against the HTTPS API server with a webhook over TLS. Each test bears the behaviour's name. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import {
  type Answerer,
  type AskedReview,
  patching,
  startTestWebhook,
  type TestWebhook,
} from '../../src/apiserver/admission/webhooks/test-webhook.ts';
import { configMap, type Json, type Reply, type Send, startTestServer, type TestServer } from '../apiserver/server.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const marked = '[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin]';

let server: TestServer;
let hook: TestWebhook;
let answer: Answerer = () => ({ allowed: true });

before(async () => {
  server = await startTestServer();
  hook = await startTestWebhook((request, path) => answer(request, path));
  for (const name of ['markers', 'spared']) {
    await created('/api/v1/namespaces', { metadata: { name, labels: { [name]: 'true' } } });
    await created(`/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: 'default' } });
  }
});
after(async () => {
  await hook.close();
  await server.close();
});
afterEach(async () => {
  for (const type of ['mutating', 'validating']) await server.send(`${group}/${type}webhookconfigurations`, { method: 'DELETE' });
});

function post(path: string, body: object): Promise<Reply> {
  return server.send(path, { method: 'POST', body });
}

async function created(path: string, body: object): Promise<Json> {
  const reply = await post(path, body);
  assert.equal(reply.code, 201, reply.text);
  return reply.json;
}

function mergePatch(path: string, body: object): Promise<Reply> {
  return server.send(path, { method: 'PATCH', body: JSON.stringify(body), headers: { 'content-type': 'application/merge-patch+json' } });
}

interface Registration {
  readonly name: string;
  readonly labels?: object;
  readonly rule: object;
  readonly more?: object;
}

function configurationOf({ name, labels, rule, more }: Registration): object {
  const webhook = {
    name: `${name}.example.com`,
    clientConfig: { url: hook.url(`/${name}`), caBundle: hook.caBundle },
    rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'], ...rule }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...more,
  };
  return { metadata: { name, labels }, webhooks: [webhook] };
}

function register(type: 'mutating' | 'validating', registration: Registration): Promise<Json> {
  return created(`${group}/${type}webhookconfigurations`, configurationOf(registration));
}

const onConfigMaps = { operations: ['CREATE', 'UPDATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] };
const maps = '/api/v1/namespaces/markers/configmaps';
let next = 0;

function makeMap(data: Record<string, string> = {}, path = maps): Promise<Reply> {
  return post(path, configMap(`map-${next++}`, data));
}

const marking: Answerer = () => patching({ op: 'add', path: '/data', value: { 'mutation-stage-1': 'yes' } });

test(`${marked} listing mutating webhooks should work [Conformance]`, async () => {
  answer = marking;
  const selected = `${group}/mutatingwebhookconfigurations?labelSelector=batch%3Dten`;
  for (let n = 0; n < 10; n++) await register('mutating', { name: `m${n}`, labels: { batch: 'ten' }, rule: onConfigMaps });
  assert.equal((await server.send(selected)).json.items.length, 10);
  assert.deepEqual((await makeMap()).json.data, { 'mutation-stage-1': 'yes' });
  assert.equal((await server.send(selected, { method: 'DELETE' })).code, 200);
  assert.equal((await server.send(selected)).json.items.length, 0);
  assert.deepEqual((await makeMap({ a: 'b' })).json.data, { a: 'b' });
});

test(`${marked} patching/updating a mutating webhook should work [Conformance]`, async () => {
  answer = marking;
  const configuration = await register('mutating', { name: 'changing', rule: onConfigMaps });
  const path = `${group}/mutatingwebhookconfigurations/changing`;
  configuration.webhooks[0].rules[0].operations = ['UPDATE'];
  assert.equal((await server.send(path, { method: 'PUT', body: configuration })).code, 200);
  assert.deepEqual((await makeMap({ a: 'b' })).json.data, { a: 'b' });
  const toCreate = [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['CREATE'] }];
  const sent: Send = { method: 'PATCH', body: JSON.stringify(toCreate), headers: { 'content-type': 'application/json-patch+json' } };
  assert.equal((await server.send(path, sent)).code, 200);
  assert.deepEqual((await makeMap({ a: 'b' })).json.data, { 'mutation-stage-1': 'yes' });
});

test(`${marked} should be able to deny attaching pod [Conformance]`, async () => {
  answer = ({ name, operation }) => ({ allowed: operation !== 'CONNECT', status: { message: `attaching to pod '${name ?? ''}' is not allowed` } });
  await register('validating', { name: 'attaching', rule: { operations: ['CONNECT'], resources: ['pods/attach'] } });
  await created('/api/v1/namespaces/markers/pods', { metadata: { name: 'to-be-attached' }, spec: { containers: [{ name: 'c', image: 'i' }] } });
  const asked = hook.asked.length;
  const reply = await server.send('/api/v1/namespaces/markers/pods/to-be-attached/attach?stdout=true', {
    method: 'POST',
    headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' },
  });
  assert.deepEqual(
    [reply.code, reply.json.message],
    [400, `admission webhook "attaching.example.com" denied the request: attaching to pod 'to-be-attached' is not allowed`],
  );
  const [{ request } = { request: undefined }] = hook.asked.slice(asked);
  assert.deepEqual(
    [request?.kind.kind, request?.subResource, request?.object],
    ['PodAttachOptions', 'attach', { kind: 'PodAttachOptions', apiVersion: 'v1', stdout: true }],
  );
});

test(`${marked} should be able to deny pod and configmap creation [Conformance]`, async () => {
  const offending = ({ object }: AskedReview): boolean =>
    object?.data?.['webhook-e2e-test'] === 'webhook-disallow' || object?.spec?.containers?.[0]?.name === 'webhook-disallow';
  answer = (request) =>
    request.object?.metadata?.name === 'hanging'
      ? undefined
      : { allowed: !offending(request), status: { message: 'the object contains unwanted data' } };
  await register('validating', {
    name: 'denying',
    rule: { operations: ['CREATE', 'UPDATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods', 'configmaps'] },
    more: { timeoutSeconds: 1, namespaceSelector: { matchExpressions: [{ key: 'spared', operator: 'DoesNotExist' }] } },
  });
  const pod = (name: string, container: string): Promise<Reply> =>
    post('/api/v1/namespaces/markers/pods', { metadata: { name }, spec: { containers: [{ name: container, image: 'i' }] } });
  const denied = 'admission webhook "denying.example.com" denied the request: the object contains unwanted data';
  assert.equal((await pod('bad', 'webhook-disallow')).json.message, denied);
  assert.match((await pod('hanging', 'c')).json.message, /failed calling webhook "denying.example.com".*(deadline exceeded|timeout)/i);
  const bad = { 'webhook-e2e-test': 'webhook-disallow' };
  assert.equal((await makeMap(bad)).json.message, denied);
  const fine = await makeMap({ 'webhook-e2e-test': 'fine' });
  assert.equal(fine.code, 201, fine.text);
  const path = `${maps}/${fine.json.metadata.name}`;
  assert.equal((await server.send(path, { method: 'PUT', body: { ...fine.json, data: bad } })).json.message, denied);
  assert.equal((await mergePatch(path, { data: bad })).json.message, denied);
  assert.equal((await makeMap(bad, '/api/v1/namespaces/spared/configmaps')).code, 201);
});

const openSchema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };

function definition(plural: string, kind: string, versions: readonly object[]): object {
  const names = { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` };
  return { metadata: { name: `${plural}.markers.example.com` }, spec: { group: 'markers.example.com', scope: 'Namespaced', names, versions } };
}

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

test(`${marked} should deny crd creation [Conformance]`, async () => {
  answer = () => ({ allowed: false, status: { message: 'the crd contains unwanted label' } });
  await register('validating', {
    name: 'no-crds',
    rule: { operations: ['CREATE'], apiGroups: ['apiextensions.k8s.io'], resources: ['customresourcedefinitions'] },
  });
  const reply = await post(definitions, definition('unwanteds', 'Unwanted', [{ name: 'v1', served: true, storage: true, schema: openSchema }]));
  assert.deepEqual(
    [reply.code, reply.json.message],
    [400, 'admission webhook "no-crds.example.com" denied the request: the crd contains unwanted label'],
  );
  assert.equal((await server.send(`${definitions}/unwanteds.markers.example.com`)).code, 404);
});

test(`${marked} should honor timeout [Conformance]`, async () => {
  let release: (() => void) | undefined;
  answer = () => new Promise((resolve) => (release = () => resolve({ allowed: true })));
  const patience = (timeoutSeconds: number | undefined, failurePolicy: string): Promise<Json> =>
    register('validating', { name: 'slow', rule: onConfigMaps, more: { timeoutSeconds, failurePolicy } });
  const forget = (): Promise<Reply> => server.send(`${group}/validatingwebhookconfigurations/slow`, { method: 'DELETE' });
  await patience(1, 'Fail');
  const late = await makeMap();
  assert.equal(late.code, 500);
  assert.match(late.json.message, /failed calling webhook "slow.example.com".*(deadline exceeded|timeout)/i);
  await forget();
  await patience(1, 'Ignore');
  assert.equal((await makeMap()).code, 201);
  await forget();
  for (const timeoutSeconds of [10, undefined]) {
    release = undefined;
    await patience(timeoutSeconds, 'Fail');
    const asked = hook.asked.length;
    const pending = makeMap();
    while (hook.asked.length === asked || release === undefined) await new Promise((resolve) => setImmediate(resolve));
    (release as () => void)();
    assert.equal((await pending).code, 201);
    await forget();
  }
});

test(`${marked} should include webhook resources in discovery documents [Conformance]`, async () => {
  const { groups } = (await server.send('/apis')).json;
  const found = groups.find(({ name }: { name: string }) => name === 'admissionregistration.k8s.io');
  assert.ok(found.versions.some(({ groupVersion }: { groupVersion: string }) => groupVersion === 'admissionregistration.k8s.io/v1'));
  const names = (await server.send(group)).json.resources.map(({ name }: { name: string }) => name);
  for (const name of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']) assert.ok(names.includes(name), name);
});

async function served(path: string): Promise<void> {
  while ((await server.send(path)).code !== 200) await new Promise((resolve) => setImmediate(resolve));
}

test(`${marked} should mutate custom resource with different stored version [Conformance]`, async () => {
  answer = ({ object }) =>
    object?.data?.['mutation-start'] === 'yes' ? patching({ op: 'add', path: '/data/mutation-stage-1', value: 'yes' }) : { allowed: true };
  const versions = (stored: string): object[] => ['v1', 'v2'].map((name) => ({ name, served: true, storage: name === stored, schema: openSchema }));
  await created(definitions, definition('storeds', 'Stored', versions('v1')));
  const objects = '/apis/markers.example.com/v1/namespaces/markers/storeds';
  await served(objects);
  await register('mutating', {
    name: 'custom',
    rule: { operations: ['CREATE', 'UPDATE'], apiGroups: ['markers.example.com'], resources: ['storeds'] },
  });
  const made = await created(objects, {
    apiVersion: 'markers.example.com/v1',
    kind: 'Stored',
    metadata: { name: 'one' },
    data: { 'mutation-start': 'yes' },
  });
  assert.deepEqual(made.data, { 'mutation-start': 'yes', 'mutation-stage-1': 'yes' });
  assert.equal((await mergePatch(`${definitions}/storeds.markers.example.com`, { spec: { versions: versions('v2') } })).code, 200);
  const second = '/apis/markers.example.com/v2/namespaces/markers/storeds/one';
  await served(second);
  const patched = await mergePatch(`${objects}/one`, { data: { dummy: 'test' } });
  assert.equal(patched.code, 200, patched.text);
  assert.deepEqual(patched.json.data, { 'mutation-start': 'yes', 'mutation-stage-1': 'yes', dummy: 'test' });
  assert.equal((await server.send(second)).json.data.dummy, 'test');
});

test(`${marked} should mutate custom resource with pruning [Conformance]`, async () => {
  answer = (_, path) => patching({ op: 'add', path: `/data/${path === '/first' ? 'mutation-stage-1' : 'mutation-stage-2'}`, value: 'yes' });
  const known = { 'mutation-start': { type: 'string' }, 'mutation-stage-1': { type: 'string' } };
  const schema = { openAPIV3Schema: { type: 'object', properties: { data: { type: 'object', properties: known } } } };
  await created(definitions, definition('pruneds', 'Pruned', [{ name: 'v1', served: true, storage: true, schema }]));
  const objects = '/apis/markers.example.com/v1/namespaces/markers/pruneds';
  await served(objects);
  for (const name of ['first', 'second'])
    await register('mutating', { name, rule: { operations: ['CREATE'], apiGroups: ['markers.example.com'], resources: ['pruneds'] } });
  const made = await created(objects, {
    apiVersion: 'markers.example.com/v1',
    kind: 'Pruned',
    metadata: { name: 'one' },
    data: { 'mutation-start': 'yes' },
  });
  assert.deepEqual(made.data, { 'mutation-start': 'yes', 'mutation-stage-1': 'yes' });
});

test(`${marked} should not be able to mutate or prevent deletion of webhook configuration objects [Conformance]`, async () => {
  answer = ({ operation }) =>
    operation === 'DELETE' ? { allowed: false } : patching({ op: 'add', path: '/metadata/labels', value: { changed: 'yes' } });
  const rule = { apiGroups: ['admissionregistration.k8s.io'], resources: ['*'] };
  await register('validating', { name: 'no-deletes', rule: { ...rule, operations: ['DELETE'] } });
  await register('mutating', { name: 'labels', rule: { ...rule, operations: ['CREATE'] } });
  for (const type of ['validating', 'mutating'] as const) {
    const made = await register(type, { name: 'bystander', rule: { resources: ['nothings'] } });
    assert.equal(made.metadata.labels, undefined);
    assert.equal((await server.send(`${group}/${type}webhookconfigurations/bystander`, { method: 'DELETE' })).code, 200);
  }
});

test(`${marked} should unconditionally reject operations on fail closed webhook [Conformance]`, async () => {
  answer = () => ({ allowed: true });
  const clientConfig = { url: hook.url('/closed') };
  await register('validating', { name: 'closed', rule: onConfigMaps, more: { failurePolicy: 'Fail', clientConfig } });
  const reply = await makeMap();
  assert.deepEqual([reply.code, reply.json.reason], [500, 'InternalError']);
  assert.match(reply.json.message, /failed calling webhook "closed.example.com"/);
});
