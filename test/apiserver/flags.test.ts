/** The API server alone with its security flags, as a user would run it: what each does, what is read again while it runs, and what is refused. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { renderKubeconfig } from '../../src/client/kubeconfig.ts';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { realWorld } from '../../src/world/real.ts';
import { eventually } from '../support/cluster-under-test.ts';
import { launcher, run, start } from '../support/stock-tools.ts';
import { type HttpsStub, startHttpsStub } from './https-stub.ts';
import type { Json } from './server.ts';

const world = realWorld({ level: 'silent' });
const directory = mkdtempSync(join(tmpdir(), 'k8ts-flags-'));
const file = (name: string): string => join(directory, name);
const env = { HOME: directory, KUBECONFIG: file('none') };

type Flags = Readonly<Record<string, string | number | readonly string[]>>;

let port = 0;
let ca: CertificatePair;
let admin: CertificatePair;
let issuer: HttpsStub;
let webhook: HttpsStub;
let server: { child: ChildProcess; lines: string[]; ended: Promise<number | null> } | undefined;
const issuerKey = generateKeyPairSync('rsa', { modulusLength: 2048 });

function args(flags: Flags): string[] {
  return Object.entries(flags).flatMap(([name, value]) => (typeof value === 'object' ? value : [value]).map((one) => `--${name}=${one}`));
}

async function freePort(): Promise<number> {
  const listener = createServer();
  const found = await new Promise<number>((resolve) => {
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
  await new Promise((resolve) => listener.close(resolve));
  return found;
}

async function begin(flags: Flags): Promise<void> {
  const child = start(launcher, ['kube-apiserver', ...args(flags)], { env, timeoutMs: 300_000 });
  const lines: string[] = [];
  const started = Promise.withResolvers<void>();
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      started.reject(new Error(`it ended with ${code}:\n${lines.join('\n')}`));
      resolve(code);
    });
  });
  assert.ok(child.stderr);
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    if (line.includes('"msg":"started"')) started.resolve();
  });
  server = { child, lines, ended };
  await started.promise;
}

async function stop(): Promise<void> {
  assert.ok(server);
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0, server.lines.join('\n'));
  server = undefined;
}

interface Ask {
  readonly method?: string;
  readonly body?: object;
  readonly token?: string;
  readonly identity?: CertificatePair;
  readonly headers?: Record<string, string>;
}

function ask(path: string, { method = 'GET', body, token, identity, headers = {} }: Ask = {}): Promise<{ code: number; json: Json; text: string }> {
  const agent = new Agent({ ca: ca.certificate, ...(identity && { cert: identity.certificate, key: identity.key }) });
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        agent,
        headers: {
          ...headers,
          ...(body && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ code: response.statusCode ?? 0, text, json: text.startsWith('{') ? JSON.parse(text) : {} });
          agent.destroy();
        });
      },
    );
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const asAdmin = (path: string, options: Ask = {}): ReturnType<typeof ask> => ask(path, { ...options, identity: admin });

async function whoIs(token: string): Promise<Json> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const { code, json } = await ask('/apis/authentication.k8s.io/v1/selfsubjectreviews', { method: 'POST', body, token });
  return code === 201 ? json.status.userInfo : code;
}

function idToken(claims: object): string {
  const now = Math.floor(world.clock.now() / 1000);
  const parts = [
    { alg: 'RS256', kid: 'one' },
    { iss: issuer.url, aud: 'k8ts', sub: 'jo', iat: now, exp: now + 600, ...claims },
  ];
  const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${sign('sha256', Buffer.from(signed), issuerKey.privateKey).toString('base64url')}`;
}

function writePair(name: string, pair: CertificatePair): void {
  writeFileSync(file(`${name}.crt`), pair.certificate);
  writeFileSync(file(`${name}.key`), pair.key);
}

function writeAuthentication(rule: string, path = '/livez'): void {
  writeFileSync(
    file('authentication.yaml'),
    `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: ${issuer.url}
    audiences: [k8ts, other]
    audienceMatchPolicy: MatchAny
    certificateAuthority: |
${issuer.ca.replaceAll(/^/gm, '      ')}
  claimValidationRules:
  - expression: ${JSON.stringify(rule)}
    message: not for you
  claimMappings:
    username: {expression: '"oidc:" + claims.sub'}
    groups: {expression: 'has(claims.teams) ? claims.teams.map(t, "team:" + t) : []'}
    uid: {claim: sub}
    extra:
    - {key: example.com/tenant, valueExpression: 'has(claims.tenant) ? claims.tenant : ""'}
  userValidationRules:
  - {expression: "!user.username.startsWith('system:')", message: reserved}
anonymous:
  enabled: true
  conditions: [{path: ${path}}]
`,
  );
}

function writeAuthorization(expression: string): void {
  writeFileSync(
    file('authorization.yaml'),
    `apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- {type: Node, name: node}
- {type: RBAC, name: rbac}
- type: Webhook
  name: hook
  webhook:
    timeout: 3s
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: Deny
    authorizedTTL: 1s
    unauthorizedTTL: 1s
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: ${file('webhook.conf')}}
    matchConditions: [{expression: ${JSON.stringify(expression)}}]
`,
  );
}

function writeEncryption(...providers: object[]): void {
  const resources = [{ resources: ['secrets'], providers }];
  writeFileSync(file('encryption.json'), JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources }));
}

const aesgcm = (name: string, fill: number): object => ({ aesgcm: { keys: [{ name, secret: Buffer.alloc(32, fill).toString('base64') }] } });
const secretbox = (name: string, fill: number): object => ({ secretbox: { keys: [{ name, secret: Buffer.alloc(32, fill).toString('base64') }] } });

function baseFlags(): Flags {
  return {
    'tls-cert-file': file('apiserver.crt'),
    'tls-private-key-file': file('apiserver.key'),
    'client-ca-file': file('ca.crt'),
    'service-account-signing-key-file': file('sa.key'),
    'service-account-key-file': [file('sa.key'), file('old-sa.pub')],
    'service-account-issuer': ['https://new.example.com', 'https://old.example.com'],
    'secure-port': port,
    'bind-address': '127.0.0.1',
  };
}

before(async () => {
  port = await freePort();
  ca = await createCertificateAuthority(world, 'kubernetes');
  admin = await issueCertificate(world, { ca, commonName: 'admin', organizations: ['system:masters'], usages: ['client'] });
  const serving = (commonName: string, ...dnsNames: string[]): Promise<CertificatePair> =>
    issueCertificate(world, { ca, commonName, dnsNames, usages: ['server'], ipAddresses: ['127.0.0.1'] });
  writePair('ca', ca);
  writePair('apiserver', await serving('first'));
  writePair('next', await serving('second'));
  writePair('sni', await serving('named', 'api.example.com'));
  writePair('admin', admin);
  // As kubeadm makes it.
  const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(file('sa.key'), signing.privateKey.export({ type: 'pkcs1', format: 'pem' }));
  writeFileSync(file('old-sa.pub'), generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ type: 'spki', format: 'pem' }));
  issuer = await startHttpsStub(world);
  issuer.answer = (path) => {
    if (path === '/.well-known/openid-configuration') return { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` };
    return path === '/keys' ? { keys: [{ ...issuerKey.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig' }] } : undefined;
  };
  webhook = await startHttpsStub(world);
  webhook.answer = (_path, body) => (body.kind === 'EventList' ? {} : { status: { allowed: true } });
  writeFileSync(
    file('webhook.conf'),
    renderKubeconfig({ name: 'hook', server: webhook.url, ca: webhook.ca, certificate: admin.certificate, key: admin.key }),
  );
  writeFileSync(
    file('audit.yaml'),
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- {level: Metadata, resources: [{group: "", resources: [secrets]}]}\n',
  );
  writeAuthentication('claims.tenant == "blue"');
  writeAuthorization('has(request.resourceAttributes) && request.resourceAttributes.namespace == "open"');
  writeEncryption(aesgcm('k1', 1), { identity: {} });
  await begin({
    ...baseFlags(),
    'service-account-max-token-expiration': '2h',
    'service-account-jwks-uri': 'https://keys.example.com/jwks',
    'api-audiences': 'here,there',
    'authentication-config': file('authentication.yaml'),
    'authorization-config': file('authorization.yaml'),
    'audit-policy-file': file('audit.yaml'),
    'audit-log-path': file('audit.log'),
    'audit-webhook-config-file': file('webhook.conf'),
    'audit-webhook-batch-max-wait': '50ms',
    'encryption-provider-config': file('encryption.json'),
    'encryption-provider-config-automatic-reload': 'true',
    'tls-min-version': 'VersionTLS13',
    'tls-curve-preferences': 'X25519,CurveP256',
    'tls-sni-cert-key': `${file('sni.crt')},${file('sni.key')}`,
    'disable-admission-plugins': 'DefaultTolerationSeconds',
    storage: file('store'),
  });
});

after(async () => {
  if (server !== undefined) await stop();
  await issuer.close();
  await webhook.close();
  rmSync(directory, { recursive: true, force: true });
});

test('--authentication-config: an issuer with expressions, and nobody without proof but on the paths named', async () => {
  assert.deepEqual(await whoIs(idToken({ tenant: 'blue', teams: ['a', 'b'] })), {
    username: 'oidc:jo',
    uid: 'jo',
    groups: ['team:a', 'team:b', 'system:authenticated'],
    extra: { 'example.com/tenant': ['blue'] },
  });
  assert.equal(await whoIs(idToken({ tenant: 'red' })), 401);
  assert.equal(await whoIs(idToken({ tenant: 'blue', aud: 'nobody' })), 401);
  assert.deepEqual([(await ask('/livez')).code, (await ask('/version')).code], [200, 401]);
});

test('--authentication-config is read again when it changes, and a broken one is not taken', async () => {
  writeAuthentication('claims.tenant == "red"', '/version');
  await eventually('the new rule holds', async () => ((await whoIs(idToken({ tenant: 'red' }))).username === 'oidc:jo' ? true : undefined));
  assert.equal(await whoIs(idToken({ tenant: 'blue' })), 401);
  assert.equal((await ask('/version')).code, 200);
  writeAuthentication('claims.tenant ==');
  await eventually('it complains', async () => {
    await ask('/version');
    return server?.lines.some((line) => line.includes('compilation failed')) === true ? true : undefined;
  });
  assert.equal((await whoIs(idToken({ tenant: 'red' }))).username, 'oidc:jo');
});

test('--authorization-config: a webhook is asked only about what its conditions match; read again when they change', async () => {
  const token = idToken({ tenant: 'red' });
  assert.equal((await ask('/api/v1/namespaces/open/pods', { token })).code, 200);
  assert.equal((await ask('/api/v1/namespaces/closed/pods', { token })).code, 403);
  writeAuthorization('request.resourceAttributes.namespace == "closed"');
  await eventually('the new condition holds', async () => ((await ask('/api/v1/namespaces/closed/pods', { token })).code === 200 ? true : undefined));
  await eventually('and the old one not', async () => ((await ask('/api/v1/namespaces/open/pods', { token })).code === 403 ? true : undefined));
  const denied = await ask('/metrics', { token });
  assert.match(denied.json.message, /cannot get path "\/metrics": the authorization webhook failed/, 'a condition that fails is a no by the policy');
});

test('--service-account flags: an RSA key, several issuers and keys, audiences, the longest time', async () => {
  const discovery = await asAdmin('/.well-known/openid-configuration');
  assert.deepEqual([discovery.json.issuer, discovery.json.jwks_uri], ['https://new.example.com', 'https://keys.example.com/jwks']);
  const keys = (await asAdmin('/openid/v1/jwks')).json.keys;
  assert.deepEqual(keys.map(({ alg }: Json) => alg).toSorted(), ['ES256', 'RS256']);
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'bot' } };
  assert.equal((await asAdmin('/api/v1/namespaces/default/serviceaccounts', { method: 'POST', body: account })).code, 201);
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 36_000 } };
  const { json } = await asAdmin('/api/v1/namespaces/default/serviceaccounts/bot/token', { method: 'POST', body });
  assert.deepEqual([json.spec.expirationSeconds, json.spec.audiences], [7200, ['here', 'there']]);
  assert.equal((await whoIs(json.status.token)).username, 'system:serviceaccount:default:bot');
});

test('--audit flags: the log and the webhook get the same events', async () => {
  const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'seen' }, stringData: { k: 'hush' } };
  await asAdmin('/api/v1/namespaces/default/secrets', { method: 'POST', body, headers: { 'audit-id': 'flagged' } });
  const event = await eventually('the webhook has it', async () => {
    const events = webhook.asked.filter((asked) => asked?.kind === 'EventList').flatMap(({ items }) => items);
    return Promise.resolve(events.find(({ auditID }: Json) => auditID === 'flagged'));
  });
  assert.deepEqual([event.stage, event.verb, event.objectRef.resource], ['ResponseComplete', 'create', 'secrets']);
  const logged = await eventually('the file has it', async () => {
    const lines = readFileSync(file('audit.log'), 'utf8').trim().split('\n');
    return Promise.resolve(lines.map((line): Json => JSON.parse(line)).find(({ auditID }) => auditID === 'flagged'));
  });
  assert.deepEqual(logged, event);
});

test('--encryption-provider-config is read again; one that lacks a key in use is not taken; a replace of everything rotates', async () => {
  const secrets = '/api/v1/namespaces/default/secrets';
  writeEncryption(secretbox('k2', 2));
  await eventually('it complains by name', async () => {
    await ask('/livez');
    return server?.lines.some((line) => line.includes('was written with the key \\"k1\\" of aesgcm')) === true ? true : undefined;
  });
  writeEncryption(secretbox('k2', 2), aesgcm('k1', 1));
  await eventually('the new one is in use', async () => {
    await ask('/livez');
    return server?.lines.some((line) => line.includes('a changed file is in use') && line.includes('encryption')) === true ? true : undefined;
  });
  for (const item of (await asAdmin(secrets)).json.items) {
    assert.equal(
      (await asAdmin(`${secrets}/${item.metadata.name}`, { method: 'PUT', body: { ...item, apiVersion: 'v1', kind: 'Secret' } })).code,
      200,
    );
  }
  const before = server?.lines.length ?? 0;
  writeEncryption(secretbox('k2', 2));
  await eventually('the old key is not needed any more', async () => {
    await ask('/livez');
    return server?.lines.slice(before).some((line) => line.includes('a changed file is in use')) === true ? true : undefined;
  });
  assert.equal((await asAdmin(`${secrets}/seen`)).json.data.k, 'aHVzaA==');
});

test('--tls flags: no TLS 1.2, a certificate by name, and files that change', async () => {
  assert.equal(await servedName({ maxVersion: 'TLSv1.2' }), 'refused');
  assert.equal(await servedName({}), 'first');
  assert.equal(await servedName({ servername: 'api.example.com' }), 'named');
  for (const extension of ['crt', 'key']) writeFileSync(file(`apiserver.${extension}`), readFileSync(file(`next.${extension}`)));
  await eventually('the new certificate is served', async () => ((await servedName({})) === 'second' ? true : undefined));
  assert.equal(await servedName({ servername: 'api.example.com' }), 'named');
});

function servedName(options: { maxVersion?: 'TLSv1.2'; servername?: string }): Promise<unknown> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.on('error', () => resolve('refused'));
  });
}

test('flags that contradict, lack something or name what is not there are refused, each in a plain sentence', async () => {
  writeFileSync(file('empty.yaml'), 'apiVersion: v1\nkind: Nothing\n');
  writeFileSync(file('rsa512.key'), 'no key\n');
  const cases: readonly (readonly [Flags, RegExp])[] = [
    [{ 'authentication-config': file('empty.yaml') }, /--authentication-config .*: the file is not an AuthenticationConfiguration/],
    [{ 'authentication-config': file('authentication.yaml'), 'oidc-issuer-url': 'https://x', 'oidc-client-id': 'y' }, /exclude each other/],
    [{ 'oidc-issuer-url': 'https://x' }, /--oidc-issuer-url and --oidc-client-id go together/],
    [{ 'authorization-config': file('authorization.yaml'), 'authorization-mode': 'RBAC' }, /--authorization-config and the other/],
    [{ 'authorization-mode': 'ABAC' }, /--authorization-mode ABAC: there are Node, RBAC/],
    [{ 'authorization-mode': 'RBAC,RBAC' }, /has RBAC more than once/],
    [{ 'authorization-mode': 'Webhook' }, /go together: give both/],
    [{ 'audit-log-path': '-' }, /need --audit-policy-file/],
    [{ 'audit-webhook-mode': 'blocking' }, /argument 'blocking' is invalid\. Allowed choices are batch/],
    [{ 'encryption-provider-config-automatic-reload': 'true' }, /needs --encryption-provider-config/],
    [{ 'encryption-provider-config': file('empty.yaml') }, /not an EncryptionConfiguration/],
    [{ 'tls-min-version': 'VersionTLS11' }, /--tls-min-version VersionTLS11: there are VersionTLS12 and VersionTLS13/],
    [{ 'tls-cipher-suites': 'TLS_RSA_WITH_RC4_128_SHA' }, /--tls-cipher-suites TLS_RSA_WITH_RC4_128_SHA: there are/],
    [{ 'tls-curve-preferences': 'P-12' }, /--tls-curve-preferences P-12: there are X25519/],
    [{ 'tls-sni-cert-key': file('sni.crt') }, /is not certificate,key/],
    [{ 'service-account-signing-key-file': file('rsa512.key') }, /holds no PEM private key/],
    [{ 'service-account-max-token-expiration': '1s' }, /must be between 1 hour and 2\^32 seconds/],
    [{ 'service-account-jwks-uri': 'http://x' }, /has to begin with https/],
    [{ 'enable-admission-plugins': 'NoSuchPlugin' }, /NoSuchPlugin/],
    [{ 'no-such-flag': 'x' }, /unknown option '--no-such-flag=x'|unknown option '--no-such-flag'/],
  ];
  for (const [flags, words] of cases) {
    const { code, stderr } = await run(launcher, ['kube-apiserver', ...args({ ...baseFlags(), ...flags, 'secure-port': port + 1 })], {
      env,
      timeoutMs: 20_000,
    });
    assert.match(stderr, words, JSON.stringify(flags));
    assert.doesNotMatch(stderr, /^\s+at /m, JSON.stringify(flags));
    assert.equal(code, 1, JSON.stringify(flags));
  }
});

test('with what is plain by upstream: anonymous, no bootstrap tokens, and TLS 1.2 with the suites named', async () => {
  await stop();
  await begin({
    ...baseFlags(),
    'tls-cipher-suites': 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
    'enable-priority-and-fairness': 'false',
    'anonymous-auth': 'true',
  });
  assert.equal((await ask('/version')).code, 200);
  const data = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-authentication': 'true',
  };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'bootstrap.kubernetes.io/token',
    metadata: { name: 'bootstrap-token-abcdef' },
    stringData: data,
  };
  assert.equal((await asAdmin('/api/v1/namespaces/kube-system/secrets', { method: 'POST', body: secret })).code, 201);
  assert.equal(await whoIs('abcdef.0123456789abcdef'), 401);
  const cipher = await new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: ca.certificate, maxVersion: 'TLSv1.2' }, () => {
      resolve(socket.getCipher().standardName);
      socket.destroy();
    });
    socket.on('error', reject);
  });
  assert.equal(cipher, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384');
});
