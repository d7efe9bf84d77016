/** Whatever is sent as a proof of who one is: it is understood or refused, never a failure of the server. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { connectionOf, KubeconfigError } from '../../src/client/kubeconfig.ts';
import { createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { realWorld } from '../../src/world/real.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Json, type Send, startTestServer, type TestServer } from './server.ts';

const world = realWorld({ level: 'silent' });
let server: TestServer;
let proxyCa: Awaited<ReturnType<typeof createCertificateAuthority>>;
let proxy: Awaited<ReturnType<typeof issueCertificate>>;

before(async () => {
  proxyCa = await createCertificateAuthority(world, 'front-proxy');
  proxy = await issueCertificate(world, { ca: proxyCa, commonName: 'front-proxy-client', usages: ['client'] });
  server = await startTestServer({
    requestHeader: {
      clientCa: proxyCa.certificate,
      allowedNames: [],
      usernameHeaders: ['X-Remote-User'],
      uidHeaders: ['X-Remote-Uid'],
      groupHeaders: ['X-Remote-Group'],
      extraHeaderPrefixes: ['X-Remote-Extra-'],
    },
  });
});

after(() => server.close());

const reviews = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };

async function whoAmI(options: Send): Promise<{ code: number; user: Json }> {
  const { code, json } = await server.send(reviews, { ...options, method: 'POST', body: review });
  return { code, user: json.status?.userInfo };
}

/** What a header may hold at all. */
const headerText = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength: 60 });
const headerName = fc.string({ unit: fc.constantFrom('a', 'b', 'z', '0', '9', '-', '%', '_', '.', '~', '!'), minLength: 1, maxLength: 20 });
const runs = { numRuns: 60 } as const;

const part = fc.oneof(
  fc.string(),
  fc.json().map((text) => Buffer.from(text).toString('base64url')),
  fc.record({ alg: fc.constantFrom('none', 'ES256', 'RS256', 'HS256', '__proto__'), kid: fc.anything() }).map((header) => encoded(header)),
  fc
    .record({
      iss: fc.constant('https://kubernetes.default.svc.cluster.local'),
      exp: fc.anything(),
      aud: fc.anything(),
      'kubernetes.io': fc.anything(),
    })
    .map((claims) => encoded(claims)),
);

function encoded(value: unknown): string {
  try {
    return Buffer.from(JSON.stringify(value) ?? '').toString('base64url');
  } catch {
    return '';
  }
}

test('a token of any form that nobody issued is a 401', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 4 }), async (parts) => {
      const token = parts.join('.').replaceAll(/[^\x21-\x7e]/g, '');
      fc.pre(token !== '' && token !== 'sesame');
      assert.equal((await whoAmI({ token })).code, 401);
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: parts.join('.') || 'x' } };
      const reviewed = await server.send('/apis/authentication.k8s.io/v1/tokenreviews', { method: 'POST', body });
      assert.equal(reviewed.code, 201);
      assert.notEqual(reviewed.json.status.authenticated, true);
    }),
    runs,
  );
});

test('a changed letter anywhere in a good token makes it no token', async () => {
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'bot' } };
  await server.send('/api/v1/namespaces/default/serviceaccounts', { method: 'POST', body: account });
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { json } = await server.send('/api/v1/namespaces/default/serviceaccounts/bot/token', { method: 'POST', body: request });
  const token: string = json.status.token;
  assert.equal((await whoAmI({ token })).user.username, 'system:serviceaccount:default:bot');
  await fc.assert(
    // The last letter of base64url holds bits that do not count.
    fc.asyncProperty(fc.nat(token.length - 2), fc.constantFrom('A', 'b', '.', '-'), async (index, letter) => {
      fc.pre(token[index] !== letter);
      assert.equal((await whoAmI({ token: token.slice(0, index) + letter + token.slice(index + 1) })).code, 401);
    }),
    runs,
  );
});

test('any Authorization header is a user, nobody, or a 401', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        headerText,
        headerText.map((text) => `Bearer ${text}`),
        headerText.map((text) => `Basic ${text}`),
      ),
      async (authorization) => {
        const { code } = await whoAmI({ identity: undefined, headers: { authorization } });
        assert.ok([401, 403].includes(code), String(code));
      },
    ),
    runs,
  );
});

test('any impersonation headers act as exactly whom they name, or are refused with 400', async () => {
  const strings = fc.array(headerText, { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(headerText, strings, headerName, strings, headerText, async (user, groups, key, values, uid) => {
      const headers = { 'impersonate-user': user, 'impersonate-group': groups, [`impersonate-extra-${key}`]: values, 'impersonate-uid': uid };
      // A review of oneself: who may impersonate may act as anybody, and everybody who is authenticated may ask who they are.
      const { code, user: acted } = await whoAmI({ identity: server.admin, headers });
      assert.ok([201, 400, 403].includes(code), String(code));
      if (code !== 201) return;
      const name = user.trim();
      assert.equal(acted.username, name === '' ? 'admin' : name);
    }),
    runs,
  );
});

test("a proxy's headers name a user as they are, from nobody else", async () => {
  const strings = fc.array(headerText, { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(headerText, strings, headerName, headerText, async (user, groups, key, value) => {
      const headers = { 'x-remote-user': user, 'x-remote-group': groups, [`x-remote-extra-${key}`]: value };
      const proxied = await whoAmI({ identity: proxy, headers });
      assert.ok([201, 401, 403].includes(proxied.code), String(proxied.code));
      if (proxied.code === 201) assert.equal(proxied.user.username, user.trim());
      assert.equal((await whoAmI({ identity: server.admin, headers })).user.username, 'admin');
    }),
    runs,
  );
});

test("a certificate's names become user and groups as they are", async () => {
  const text = fc
    .string({
      unit: fc.constantFrom('a', 'b', ':', '/', '.', '@', ' ', '*', "'", '"', '\\\\', '#', '=', ',', '+', 'é', '中', '\u{1f600}'),
      minLength: 1,
      maxLength: 12,
    })
    .filter((name) => name.trim() !== '');
  await fc.assert(
    fc.asyncProperty(text, fc.array(text, { maxLength: 2 }), async (name, groups) => {
      const identity = await server.certificate(name, ...groups);
      const { code, user } = await whoAmI({ identity });
      assert.equal(code, 201);
      assert.deepEqual(
        [user.username, user.groups],
        [name, [...groups, ...(groups.includes('system:authenticated') ? [] : ['system:authenticated'])]],
      );
    }),
    { numRuns: 15 },
  );
});

test('a kubeconfig that cannot be used says so', () => {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-kubeconfig-'));
  const path = join(directory, 'config');
  try {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc
            .record({ 'current-context': fc.anything(), contexts: fc.anything(), clusters: fc.anything(), users: fc.anything() })
            .map((value) => encodedJson(value)),
        ),
        (text) => {
          writeFileSync(path, text);
          try {
            connectionOf(path);
          } catch (error) {
            assert.ok(error instanceof KubeconfigError, String(error));
          }
        },
      ),
      { numRuns: 150 },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

function encodedJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return '';
  }
}
