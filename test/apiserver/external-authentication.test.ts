import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { realWorld } from '../../src/world/real.ts';
import { type HttpsStub, startHttpsStub } from './https-stub.ts';
import { type Json, startTestServer, type TestServer } from './server.ts';

const world = realWorld({ level: 'silent' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
let issuer: HttpsStub;
let webhook: HttpsStub;
let proxyCa: Awaited<ReturnType<typeof createCertificateAuthority>>;
let server: TestServer;

before(async () => {
  issuer = await startHttpsStub(world);
  issuer.answer = (path) => {
    if (path === '/.well-known/openid-configuration') return { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` };
    if (path === '/keys') return { keys: [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' }] };
    return undefined;
  };
  webhook = await startHttpsStub(world);
  webhook.answer = (_path, { spec }) => {
    const known = spec.token === 'known-elsewhere';
    const user = { username: 'web', uid: '7', groups: ['hooked'], extra: { scope: ['a', 'b'] } };
    return { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status: known ? { authenticated: true, user } : { authenticated: false } };
  };
  proxyCa = await createCertificateAuthority(world, 'front-proxy');
  server = await startTestServer({
    oidc: {
      issuerUrl: issuer.url,
      clientId: 'k8ts',
      ca: issuer.ca,
      usernameClaim: 'email',
      usernamePrefix: 'oidc:',
      groupsClaim: 'groups',
      groupsPrefix: 'oidc:',
      requiredClaims: { tenant: 'blue' },
    },
    tokenWebhook: { server: webhook.url, ca: webhook.ca },
    requestHeader: {
      clientCa: proxyCa.certificate,
      allowedNames: ['front-proxy-client'],
      usernameHeaders: ['X-Remote-User'],
      uidHeaders: ['X-Remote-Uid'],
      groupHeaders: ['X-Remote-Group'],
      extraHeaderPrefixes: ['X-Remote-Extra-'],
    },
  });
});

after(async () => {
  await server.close();
  await issuer.close();
  await webhook.close();
});

async function whoAmI(options: Parameters<TestServer['send']>[1]): Promise<Json> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const reply = await server.send('/apis/authentication.k8s.io/v1/selfsubjectreviews', { ...options, method: 'POST', body });
  return reply.code === 201 ? reply.json.status.userInfo : reply.code;
}

function idToken(claims: object, key = rsa.privateKey, header: object = { alg: 'RS256', kid: 'one' }): string {
  const now = Math.floor(world.clock.now() / 1000);
  const all = {
    iss: issuer.url,
    aud: 'k8ts',
    sub: 's',
    email: 'jo@example.com',
    tenant: 'blue',
    groups: ['dev'],
    iat: now,
    exp: now + 300,
    ...claims,
  };
  const signed = [header, all].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
}

test('an ID token names user and groups by its claims, with prefixes', async () => {
  const info = await whoAmI({ token: idToken({}) });
  assert.equal(info.username, 'oidc:jo@example.com');
  assert.deepEqual(info.groups, ['oidc:dev', 'system:authenticated']);
  assert.equal((await whoAmI({ token: idToken({ aud: ['x', 'k8ts'], groups: 'ops' }) })).groups[0], 'oidc:ops');
});

const refused: Readonly<Record<string, () => string>> = {
  'is over': () => idToken({ exp: 1 }),
  'has not begun': () => idToken({ nbf: Math.floor(world.clock.now() / 1000) + 3600 }),
  'is for somebody else': () => idToken({ aud: 'other' }),
  'lacks a required claim': () => idToken({ tenant: 'red' }),
  'has an unverified address': () => idToken({ email_verified: false }),
  'has no name': () => idToken({ email: '' }),
  'is signed by another key': () => idToken({}, other.privateKey),
  'is signed by a key nobody knows': () => idToken({}, rsa.privateKey, { alg: 'RS256', kid: 'two' }),
  'claims another algorithm': () => idToken({}, rsa.privateKey, { alg: 'RS512', kid: 'one' }),
  'claims to need no signature': () => `${idToken({}, rsa.privateKey, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
};

for (const [name, token] of Object.entries(refused)) {
  test(`an ID token that ${name} is refused`, async () => {
    assert.equal(await whoAmI({ token: token() }), 401);
  });
}

test('a token webhook is asked, once for many requests', async () => {
  const info = await whoAmI({ token: 'known-elsewhere' });
  assert.deepEqual(info, { username: 'web', uid: '7', groups: ['hooked', 'system:authenticated'], extra: { scope: ['a', 'b'] } });
  const count = webhook.asked.length;
  assert.equal(webhook.asked.at(-1).spec.token, 'known-elsewhere');
  assert.deepEqual(webhook.asked.at(-1).spec.audiences, ['https://kubernetes.default.svc.cluster.local']);
  await Promise.all([1, 2, 3].map(() => whoAmI({ token: 'known-elsewhere' })));
  assert.equal(webhook.asked.length, count);
  assert.equal(await whoAmI({ token: 'unknown' }), 401);
});

test('a token review asks all ways, the webhook too', async () => {
  const review = (token: string): Promise<Json> =>
    server
      .send('/apis/authentication.k8s.io/v1/tokenreviews', {
        method: 'POST',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
      })
      .then((reply) => reply.json.status);
  assert.equal((await review('known-elsewhere')).user.username, 'web');
  assert.equal((await review(idToken({}))).user.username, 'oidc:jo@example.com');
  assert.notEqual((await review('nobody knows')).authenticated, true);
});

test('a front proxy with the right certificate speaks for its users', async () => {
  const identity = await issueCertificate(world, { ca: proxyCa, commonName: 'front-proxy-client', usages: ['client'] });
  const headers = { 'x-remote-user': 'ann', 'x-remote-uid': '9', 'x-remote-group': ['dev', 'ops'], 'x-remote-extra-acme%2fscope': 'x' };
  const info = await whoAmI({ identity, headers });
  assert.deepEqual(info, { username: 'ann', uid: '9', groups: ['dev', 'ops', 'system:authenticated'], extra: { 'acme/scope': ['x'] } });
  // Without a user it is nobody: its certificate is not one of a client.
  assert.equal(await whoAmI({ identity }), 401);
});

test('nobody else does', async () => {
  const headers = { 'x-remote-user': 'ann', 'x-remote-group': 'system:masters' };
  const wrongName = await issueCertificate(world, { ca: proxyCa, commonName: 'someone', usages: ['client'] });
  assert.equal(await whoAmI({ identity: wrongName, headers }), 401);
  const ordinary = await server.certificate('front-proxy-client');
  assert.equal((await whoAmI({ identity: ordinary, headers })).username, 'front-proxy-client');
  assert.equal((await whoAmI({ token: 'sesame', headers })).username, 'ali');
});
