import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { type Json, type Reply, startTestServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
  await server.send('/api/v1/namespaces/default/serviceaccounts', {
    method: 'POST',
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } },
  });
});

after(() => server.close());

const reviewOfSelf = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };

async function whoAmI(options: Parameters<TestServer['send']>[1]): Promise<Json> {
  const reply = await server.send('/apis/authentication.k8s.io/v1/selfsubjectreviews', { ...options, method: 'POST', body: reviewOfSelf });
  assert.equal(reply.code, 201, reply.text);
  return reply.json.status.userInfo;
}

async function tokenFor(account: string, spec: object = {}): Promise<Reply> {
  return server.send(`/api/v1/namespaces/default/serviceaccounts/${account}/token`, {
    method: 'POST',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
  });
}

test('a client certificate names a user and its groups', async () => {
  const jane = await server.certificate('jane', 'dev', 'ops');
  const info = await whoAmI({ identity: jane });
  assert.equal(info.username, 'jane');
  assert.deepEqual(info.groups, ['dev', 'ops', 'system:authenticated']);
});

test('a certificate of another authority is refused with a 401', async () => {
  const ca = await createCertificateAuthority(server.world, 'impostor');
  const identity = await issueCertificate(server.world, { ca, commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  const reply = await server.send('/api/v1/nodes', { identity });
  assert.equal(reply.code, 401);
  assert.equal(reply.json.reason, 'Unauthorized');
});

test('a serving certificate is not a client certificate', async () => {
  const identity = await issueCertificate(server.world, { ca: server.ca, commonName: 'root', organizations: ['system:masters'], usages: ['server'] });
  assert.equal((await server.send('/api/v1/nodes', { identity })).code, 401);
});

test('a static token names its user; a wrong one is refused', async () => {
  const info = await whoAmI({ token: 'sesame' });
  assert.equal(info.username, 'ali');
  assert.deepEqual(info.groups, ['thieves', 'system:authenticated']);
  const wrong = await server.send('/version', { token: 'abracadabra' });
  assert.equal(wrong.code, 401);
  assert.deepEqual(wrong.json, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'Unauthorized',
    reason: 'Unauthorized',
    code: 401,
  });
});

test('without any proof one is anonymous, and sees only what is public', async () => {
  for (const path of ['/healthz', '/livez', '/readyz', '/version']) assert.equal((await server.send(path, { identity: undefined })).code, 200, path);
  const pods = await server.send('/api/v1/namespaces/default/pods', { identity: undefined });
  assert.equal(pods.code, 403);
  assert.equal(
    pods.json.message,
    'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
  );
  const metrics = await server.send('/metrics', { identity: undefined });
  assert.equal(metrics.json.message, 'forbidden: User "system:anonymous" cannot get path "/metrics"');
});

test('a service account token proves who it was made for', async () => {
  const issued = await tokenFor('robot', { expirationSeconds: 600 });
  assert.equal(issued.code, 201, issued.text);
  const { token, expirationTimestamp } = issued.json.status;
  assert.ok(Date.parse(expirationTimestamp) > server.world.clock.now() + 590_000);
  const info = await whoAmI({ token });
  assert.equal(info.username, 'system:serviceaccount:default:robot');
  assert.deepEqual(info.groups, ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated']);
  const forged = await server.send('/version', { token: `${token.slice(0, -8)}AAAAAAAA` });
  assert.equal(forged.code, 401);
});

test('the published keys check the tokens', async () => {
  const { token } = (await tokenFor('robot')).json.status;
  const [header, payload, signature] = token.split('.');
  const jwks = await server.send('/openid/v1/jwks');
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
  const jwk = jwks.json.keys.find((key: Json) => key.kid === kid);
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  assert.ok(verify('sha256', Buffer.from(`${header}.${payload}`), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')));
  const discovery = await server.send('/.well-known/openid-configuration');
  assert.equal(discovery.json.issuer, 'https://kubernetes.default.svc.cluster.local');
});

test('token requests are checked', async () => {
  const short = await tokenFor('robot', { expirationSeconds: 1 });
  assert.equal(short.code, 422);
  assert.match(short.json.message, /spec\.expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes/);
  assert.equal((await tokenFor('nobody')).json.message, 'serviceaccounts "nobody" not found');
  const bound = await tokenFor('robot', { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'missing' } });
  assert.equal(bound.json.message, 'pods "missing" not found');
});

test('a token dies with what it is bound to', async () => {
  const secrets = '/api/v1/namespaces/default/secrets';
  await server.send(secrets, { method: 'POST', body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'life' } } });
  const { token } = (await tokenFor('robot', { boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 'life' } })).json.status;
  assert.equal((await server.send('/version', { token })).code, 200);
  await server.send(`${secrets}/life`, { method: 'DELETE' });
  assert.equal((await server.send('/version', { token })).code, 401);
});

test('TokenReview tells whose a token is, and for whom', async () => {
  const review = async (token: string, audiences?: string[]): Promise<Json> =>
    (
      await server.send('/apis/authentication.k8s.io/v1/tokenreviews', {
        method: 'POST',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } },
      })
    ).json.status;
  const { token } = (await tokenFor('robot', { audiences: ['vault'] })).json.status;
  assert.equal((await server.send('/version', { token })).code, 401);
  const good = await review(token, ['vault', 'other']);
  assert.equal(good.authenticated, true);
  assert.equal(good.user.username, 'system:serviceaccount:default:robot');
  assert.deepEqual(good.audiences, ['vault']);
  assert.notEqual((await review(token, ['other'])).authenticated, true);
  assert.notEqual((await review('nonsense')).authenticated, true);
});

test('a bootstrap token is a user of its groups until it expires', async () => {
  const secret = (id: string, expiration: string): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'bootstrap.kubernetes.io/token',
    metadata: { name: `bootstrap-token-${id}` },
    stringData: {
      'token-id': id,
      'token-secret': '0123456789abcdef',
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': 'system:bootstrappers:kubeadm',
      expiration,
    },
  });
  await server.send('/api/v1/namespaces/kube-system/secrets', { method: 'POST', body: secret('abcdef', '2999-01-01T00:00:00Z') });
  await server.send('/api/v1/namespaces/kube-system/secrets', { method: 'POST', body: secret('fedcba', '2020-01-01T00:00:00Z') });
  const info = await whoAmI({ token: 'abcdef.0123456789abcdef' });
  assert.equal(info.username, 'system:bootstrap:abcdef');
  assert.deepEqual(info.groups, ['system:bootstrappers', 'system:bootstrappers:kubeadm', 'system:authenticated']);
  assert.equal((await server.send('/version', { token: 'abcdef.0123456789abcdee' })).code, 401);
  assert.equal((await server.send('/version', { token: 'fedcba.0123456789abcdef' })).code, 401);
});

test('impersonation needs the right to it, for user and groups each', async () => {
  const headers = { 'impersonate-user': 'bob', 'impersonate-group': ['x', 'y'], 'impersonate-extra-scopes': 'view' };
  const info = await whoAmI({ identity: server.admin, headers });
  assert.equal(info.username, 'bob');
  assert.deepEqual(info.groups, ['x', 'y', 'system:authenticated']);
  assert.deepEqual(info.extra, { scopes: ['view'] });
  const refused = await server.send('/version', { token: 'sesame', headers: { 'impersonate-user': 'bob' } });
  assert.equal(refused.code, 403);
  assert.equal(refused.json.message, 'users "bob" is forbidden: User "ali" cannot impersonate resource "users" in API group "" at the cluster scope');
  const nobody = await server.send('/version', { headers: { 'impersonate-group': 'x' } });
  assert.equal(nobody.code, 400);
});

test('access reviews answer what a request would', async () => {
  const review = async (kind: string, resource: string, spec: object, token?: string): Promise<Reply> =>
    server.send(`/apis/authorization.k8s.io/v1/${resource}`, {
      method: 'POST',
      body: { apiVersion: 'authorization.k8s.io/v1', kind, spec },
      ...(token !== undefined && { token }),
    });
  const pods = { verb: 'list', resource: 'pods', namespace: 'default' };
  assert.equal((await review('SelfSubjectAccessReview', 'selfsubjectaccessreviews', { resourceAttributes: pods })).json.status.allowed, true);
  assert.equal(
    (await review('SelfSubjectAccessReview', 'selfsubjectaccessreviews', { resourceAttributes: pods }, 'sesame')).json.status.allowed,
    false,
  );
  assert.equal(
    (await review('SelfSubjectAccessReview', 'selfsubjectaccessreviews', { nonResourceAttributes: { verb: 'get', path: '/version' } }, 'sesame')).json
      .status.allowed,
    true,
  );
  const other = await review('SubjectAccessReview', 'subjectaccessreviews', {
    user: 'system:kube-scheduler',
    resourceAttributes: { verb: 'create', resource: 'pods', subresource: 'binding', namespace: 'default' },
  });
  assert.equal(other.json.status.allowed, true);
  assert.match(
    other.json.status.reason,
    /^RBAC: allowed by ClusterRoleBinding "system:kube-scheduler" of ClusterRole "system:kube-scheduler" to User "system:kube-scheduler"$/,
  );
  assert.equal((await review('SubjectAccessReview', 'subjectaccessreviews', { resourceAttributes: pods })).code, 422);
  assert.equal((await review('SelfSubjectAccessReview', 'selfsubjectaccessreviews', {})).code, 422);
  assert.equal((await review('SelfSubjectAccessReview', 'selfsubjectaccessreviews', { resourceAttributes: { verb: 7 } })).code, 400);
  const rules = await review('SelfSubjectRulesReview', 'selfsubjectrulesreviews', { namespace: 'default' }, 'sesame');
  assert.ok(rules.json.status.resourceRules.some((rule: Json) => rule.resources.includes('selfsubjectaccessreviews')));
});

test('constrained impersonation: both the right to be somebody and to do just this as them', async () => {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const rules = [
    { verbs: ['impersonate:user-info'], apiGroups: ['authentication.k8s.io'], resources: ['users'], resourceNames: ['carl'] },
    { verbs: ['impersonate-on:user-info:list'], apiGroups: [''], resources: ['configmaps'] },
  ];
  assert.equal((await server.send(`${rbac}/clusterroles`, { method: 'POST', body: { metadata: { name: 'as-carl' }, rules } })).code, 201);
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'as-carl' };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'ali' }];
  assert.equal(
    (await server.send(`${rbac}/clusterrolebindings`, { method: 'POST', body: { metadata: { name: 'as-carl' }, roleRef, subjects } })).code,
    201,
  );
  const carl = { apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'carl' };
  const view = { metadata: { name: 'carl-views' }, roleRef: { ...roleRef, name: 'view' }, subjects: [carl] };
  assert.equal((await server.send(`${rbac}/clusterrolebindings`, { method: 'POST', body: view })).code, 201);
  const as = (path: string, headers: Record<string, string> = {}): Promise<Reply> =>
    server.send(path, { token: 'sesame', headers: { 'impersonate-user': 'carl', ...headers } });
  assert.equal((await as('/api/v1/namespaces/default/configmaps')).code, 200);
  const other = await as('/api/v1/namespaces/default/pods');
  assert.equal(other.code, 403, 'carl may list pods, but not through somebody who may only list config maps as carl');
  assert.match(other.json.message, /cannot impersonate resource "users"/);
  assert.equal((await as('/api/v1/namespaces/default/configmaps', { 'impersonate-group': 'system:masters' })).code, 403);
  assert.equal((await as('/api/v1/namespaces/default/configmaps', { 'impersonate-user': 'dora' })).code, 403);
});
