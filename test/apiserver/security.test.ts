import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { parseAuditPolicy } from '../../src/apiserver/audit/policy.ts';
import { parseEncryptionConfiguration } from '../../src/apiserver/encryption/configuration.ts';
import { issueCertificate } from '../../src/kubeadm/certificates.ts';
import { realWorld } from '../../src/world/real.ts';
import { configMap, type Json, startTestServer, type TestServer } from './server.ts';

const world = realWorld({ level: 'silent' });
const lines: Json[] = [];
let server: TestServer;

const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: None, users: [system:apiserver]}
- {level: Metadata, resources: [{group: '', resources: [secrets]}]}
- {level: RequestResponse, resources: [{group: '', resources: [configmaps]}], omitManagedFields: true, omitStages: [RequestReceived]}
- {level: Metadata, nonResourceURLs: [/version], omitStages: [RequestReceived]}
`;

const encryption = {
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'EncryptionConfiguration',
  resources: [{ resources: ['secrets'], providers: [{ aesgcm: { keys: [{ name: 'k', secret: Buffer.alloc(32, 7).toString('base64') }] } }] }],
};

before(async () => {
  server = await startTestServer({
    audit: {
      policy: parseAuditPolicy(policy),
      backend: {
        write: (line) => void lines.push(JSON.parse(line)),
        close: () => Promise.resolve(),
      },
    },
    encryption: parseEncryptionConfiguration(JSON.stringify(encryption), world),
  });
});

after(() => server.close());

const configMaps = '/api/v1/namespaces/default/configmaps';

/** Resolves with the event for the path, whenever the response is closed. */
async function eventOf(matches: (event: Json) => boolean): Promise<Json> {
  for (let round = 0; round < 100; round++) {
    const found = lines.find(matches);
    if (found !== undefined) return found;
    await server.send('/healthz');
  }
  throw new Error(`no such event among ${lines.length}`);
}

test('an event tells who did what and what came of it, with both objects', async () => {
  await server.send(`${configMaps}?fieldManager=me`, { method: 'POST', body: configMap('audited', { a: 'b' }), headers: { 'audit-id': 'one' } });
  const event = await eventOf(({ auditID, stage }) => auditID === 'one' && stage === 'ResponseComplete');
  assert.deepEqual(
    [event.kind, event.level, event.verb, event.requestURI, event.user.username, event.responseStatus],
    ['Event', 'RequestResponse', 'create', `${configMaps}?fieldManager=me`, 'admin', { metadata: {}, code: 201 }],
  );
  assert.deepEqual(event.objectRef, { resource: 'configmaps', namespace: 'default', apiVersion: 'v1' });
  assert.deepEqual(event.requestObject.data, { a: 'b' });
  assert.equal(event.responseObject.metadata.name, 'audited');
  assert.equal(event.responseObject.metadata.managedFields, undefined);
  assert.equal(event.annotations['authorization.k8s.io/decision'], 'allow');
  assert.deepEqual(event.sourceIPs, ['127.0.0.1']);
  assert.ok(event.requestReceivedTimestamp <= event.stageTimestamp);
  assert.equal(lines.filter(({ auditID }) => auditID === 'one').length, 1);
});

test('metadata alone shows no contents; refusals and impersonation are seen', async () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { k: 'hush' } };
  await server.send('/api/v1/namespaces/default/secrets', { method: 'POST', body: secret, headers: { 'audit-id': 'two' } });
  const event = await eventOf(({ auditID, stage }) => auditID === 'two' && stage === 'ResponseComplete');
  assert.equal(event.level, 'Metadata');
  assert.ok(!JSON.stringify(event).includes('hush') && event.requestObject === undefined);
  assert.deepEqual(
    lines.filter(({ auditID }) => auditID === 'two').map(({ stage }) => stage),
    ['RequestReceived', 'ResponseComplete'],
  );
  await server.send(configMaps, { headers: { 'audit-id': 'three', 'impersonate-user': 'bob', 'impersonate-group': 'dev' } });
  const refused = await eventOf(({ auditID }) => auditID === 'three');
  assert.deepEqual([refused.user.username, refused.impersonatedUser.username], ['admin', 'bob']);
  assert.deepEqual(refused.impersonatedUser.groups, ['dev', 'system:authenticated']);
  assert.deepEqual([refused.responseStatus.code, refused.responseStatus.reason], [403, 'Forbidden']);
  assert.equal(refused.annotations['authorization.k8s.io/decision'], 'forbid');
});

test('who cannot prove a name is written down without one', async () => {
  await server.send('/version', { token: 'wrong', headers: { 'audit-id': 'four' } });
  const event = await eventOf(({ auditID }) => auditID === 'four');
  assert.deepEqual([event.user, event.responseStatus.code], [{}, 401]);
});

test('a request to change protocols is written down, whether it gets far or not', async () => {
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
  const watched = await webSocket(`${configMaps}?watch=true`, { ...upgrade, 'audit-id': 'seven' }, server.admin);
  assert.equal(watched.code, 101);
  watched.end();
  const event = await eventOf(({ auditID, stage }) => auditID === 'seven' && stage === 'ResponseComplete');
  assert.deepEqual([event.verb, event.user.username, event.responseStatus.code], ['watch', 'admin', 101]);
  assert.equal(event.annotations['authorization.k8s.io/decision'], 'allow');
  const stages = lines.filter(({ auditID }) => auditID === 'seven').map(({ stage }) => stage);
  assert.deepEqual(stages, ['ResponseStarted', 'ResponseComplete']);
  const missing = await webSocket('/api/v1/namespaces/default/secrets?watch=true', { ...upgrade, 'audit-id': 'eight' });
  assert.equal(missing.code, 403);
  const refused = await eventOf(({ auditID, stage }) => auditID === 'eight' && stage === 'ResponseComplete');
  assert.deepEqual([refused.user.username, refused.responseStatus.code], ['system:anonymous', 403]);
});

function webSocket(path: string, headers: Record<string, string>, identity?: TestServer['admin']): Promise<{ code: number; end(): void }> {
  const pair = identity && { cert: identity.certificate, key: identity.key };
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port: server.port, path, headers, agent: false, ca: server.ca.certificate, ...pair });
    asking.on('upgrade', ({ statusCode = 0 }, socket) => resolve({ code: statusCode, end: () => socket.destroy() }));
    asking.on('response', (response) => {
      response.resume();
      resolve({ code: response.statusCode ?? 0, end: () => undefined });
    });
    asking.on('error', reject);
    asking.end();
  });
}

test('paths asked for in this process are written down, too', async () => {
  const connection = server.api.connect({ name: 'looker', uid: '', groups: ['system:masters'], extra: {} });
  await connection.request({ method: 'GET', path: '/version' });
  connection.close();
  const event = await eventOf(({ user, stage }) => user.username === 'looker' && stage === 'ResponseComplete');
  assert.deepEqual([event.verb, event.requestURI, event.responseStatus.code, event.objectRef], ['get', '/version', 200, undefined]);
});

test('calls in this process are written down, too', async () => {
  const connection = server.api.connect({ name: 'inside', uid: '', groups: ['system:masters'], extra: {} });
  await connection.request({ method: 'GET', path: configMaps });
  connection.close();
  const event = lines.findLast(({ user }) => user.username === 'inside');
  assert.deepEqual([event.verb, event.responseStatus.code, event.responseObject.kind], ['list', 200, 'ConfigMapList']);
});

test('secrets are read back through encryption, and watched', async () => {
  const reply = await server.send('/api/v1/namespaces/default/secrets/s');
  assert.equal(reply.json.data.k, Buffer.from('hush').toString('base64'));
});

test('answers name the flow schema and priority level', async () => {
  const [schema, level] = await Promise.all([
    server.send('/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/global-default'),
    server.send('/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/global-default'),
  ]);
  const reply = await server.send('/version', { token: 'sesame' });
  assert.equal(reply.headers['x-kubernetes-pf-flowschema-uid'], schema.json.metadata.uid);
  assert.equal(reply.headers['x-kubernetes-pf-prioritylevel-uid'], level.json.metadata.uid);
});

test('a level without seats refuses with 429 and Retry-After; superusers are exempt', async () => {
  const levels = '/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations';
  const spec = { type: 'Limited', limited: { nominalConcurrencyShares: 0, borrowingLimitPercent: 0, limitResponse: { type: 'Reject' } } };
  const subjects = [{ kind: 'User', user: { name: 'ali' } }];
  const rules = [{ subjects, nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }] }];
  assert.equal((await server.send(levels, { method: 'POST', body: { metadata: { name: 'jail' }, spec } })).code, 201);
  const schema = { metadata: { name: 'jail' }, spec: { priorityLevelConfiguration: { name: 'jail' }, matchingPrecedence: 3, rules } };
  const created = await server.send('/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas', { method: 'POST', body: schema });
  assert.equal(created.code, 201, created.text);
  const refused = await server.send('/version', { token: 'sesame' });
  assert.deepEqual([refused.code, refused.headers['retry-after'], refused.json.reason], [429, '1', 'TooManyRequests']);
  assert.equal((await server.send('/version')).code, 200);
});

test('replaced certificates are served from the next connection on', async () => {
  const next = await issueCertificate(world, {
    ca: server.ca,
    commonName: 'rotated',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  });
  const before = await servedName();
  server.api.replaceCertificates(next);
  assert.equal(before, 'kube-apiserver');
  assert.equal(await servedName(), 'rotated');
  assert.equal((await server.send('/version')).code, 200);
});

test('TLS before 1.2 is refused', async () => {
  const outcome = await new Promise<string>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: server.port, ca: server.ca.certificate, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' });
    socket.on('secureConnect', () => resolve('connected'));
    socket.on('error', () => resolve('refused'));
    socket.on('close', () => socket.destroy());
  });
  assert.equal(outcome, 'refused');
});

function servedName(): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: server.port, ca: server.ca.certificate }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
