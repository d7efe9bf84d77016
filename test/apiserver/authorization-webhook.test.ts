import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { realWorld } from '../../src/world/real.ts';
import { type HttpsStub, startHttpsStub } from './https-stub.ts';
import { type Json, startTestServer, type TestServer } from './server.ts';

let webhook: HttpsStub;
let server: TestServer;

before(async () => {
  webhook = await startHttpsStub(realWorld({ level: 'silent' }));
  webhook.answer = (_path, { spec }) => {
    if (spec.nonResourceAttributes?.path === '/metrics') return { status: { allowed: true } };
    const { verb, resource, name } = spec.resourceAttributes ?? {};
    if (resource === 'configmaps' && verb === 'list') return { status: { allowed: true } };
    if (verb === 'impersonate' && name === 'bob') return { status: { allowed: true } };
    if (resource === 'secrets') return { status: { allowed: false, denied: true, reason: 'secrets are not for you' } };
    return { status: { allowed: false, reason: 'never heard of it' } };
  };
  server = await startTestServer({
    authorizers: [{ mode: 'Node' }, { mode: 'RBAC' }, { mode: 'Webhook', webhook: { server: webhook.url, ca: webhook.ca } }],
  });
});

after(async () => {
  await server.close();
  await webhook.close();
});

const lists = '/api/v1/namespaces/default/configmaps';

test('what RBAC does not know is asked of the webhook, with the whole request, and remembered', async () => {
  assert.equal((await server.send(`${lists}?labelSelector=a%3Db`, { token: 'sesame' })).code, 200);
  assert.deepEqual(webhook.asked.at(-1).spec, {
    resourceAttributes: {
      namespace: 'default',
      verb: 'list',
      version: 'v1',
      resource: 'configmaps',
      labelSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b'] }] },
    },
    user: 'ali',
    groups: ['thieves', 'system:authenticated'],
    uid: '40',
  });
  const count = webhook.asked.length;
  assert.equal((await server.send(`${lists}?labelSelector=a%3Db`, { token: 'sesame' })).code, 200);
  assert.equal(webhook.asked.length, count);
  assert.equal((await server.send('/metrics', { token: 'sesame' })).code, 200);
});

test('its reasons are told', async () => {
  const denied = await server.send('/api/v1/namespaces/default/secrets', { token: 'sesame' });
  assert.equal(
    denied.json.message,
    'secrets is forbidden: User "ali" cannot list resource "secrets" in API group "" in the namespace "default": secrets are not for you',
  );
  const unknown = await server.send('/api/v1/nodes', { token: 'sesame' });
  assert.match(unknown.json.message, /at the cluster scope: never heard of it$/);
});

test('superusers need no webhook; writes wait for it with their body', async () => {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } };
  const count = webhook.asked.length;
  assert.equal((await server.send(lists, { method: 'POST', body })).code, 201);
  assert.equal(webhook.asked.length, count);
  assert.equal((await server.send(lists, { method: 'POST', body, token: 'sesame' })).code, 403);
});

test('impersonation and reviews go by it, too', async () => {
  const as = await server.send(lists, { token: 'sesame', headers: { 'impersonate-user': 'bob' } });
  assert.equal(as.code, 200, as.text);
  assert.equal((await server.send(lists, { token: 'sesame', headers: { 'impersonate-user': 'eve' } })).code, 403);
  const review: Json = await server.send('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    method: 'POST',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user: 'ali', resourceAttributes: { verb: 'get', resource: 'secrets', namespace: 'default' } },
    },
  });
  assert.deepEqual(review.json.status, { allowed: false, denied: true, reason: 'secrets are not for you' });
});

test('what may be done cannot be listed in full, and the answer says why', async () => {
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace: 'default' } };
  const { json } = await server.send('/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { method: 'POST', body });
  assert.deepEqual([json.status.incomplete, json.status.evaluationError], [true, 'webhook authorizer does not support user rule resolution']);
});
