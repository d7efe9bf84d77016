/** Extenders over real HTTP: what they are sent, what they may answer, and what happens when they do not. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { Arguments } from '../../src/scheduler/config/arguments.ts';
import { readExtender } from '../../src/scheduler/config/extender-configuration.ts';
import { createExtender, type Extender } from '../../src/scheduler/extender.ts';
import { podInfo } from '../../src/scheduler/pod-info.ts';
import { testNode, testPod } from '../../src/scheduler/test-objects.ts';
import { stateOf } from '../../src/scheduler/test-profile.ts';
import { realWorld } from '../../src/world/real.ts';

let server: Server;
let answer: (path: string, body: unknown) => { code?: number; body: unknown } | undefined = () => ({ body: {} });
const asked: { path: string; body: unknown }[] = [];

before(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      asked.push({ path: request.url ?? '', body });
      const given = answer(request.url ?? '', body);
      if (given === undefined) return;
      response.statusCode = given.code ?? 200;
      response.end(typeof given.body === 'string' ? given.body : JSON.stringify(given.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
after(() => {
  server.closeAllConnections();
  server.close();
});

function extender(more: object = {}): Extender {
  const { port } = server.address() as AddressInfo;
  const verbs = { filterVerb: 'filter', prioritizeVerb: 'prioritize', bindVerb: 'bind', preemptVerb: 'preempt', weight: 1 };
  return createExtender(
    readExtender(Arguments.of({ urlPrefix: `http://127.0.0.1:${port}/api/`, ...verbs, ...more }, 'extenders[0]')),
    realWorld({ level: 'error' }),
  );
}

const state = stateOf({ nodes: [testNode('a'), testNode('b')], placed: [[testPod('victim'), 'a']] });
const pod = podInfo(testPod('p', {}, { 'example.com/gpu': '1' }));

test('whole nodes are sent to those that keep no cache, and come back', async () => {
  asked.length = 0;
  answer = () => ({ body: { nodes: { items: [{ metadata: { name: 'b' } }] }, failedAndUnresolvableNodes: { a: 'never' } } });
  const verdict = await extender().filter?.(pod, state.nodes);
  assert.deepEqual(
    verdict?.nodes.map(({ name }) => name),
    ['b'],
  );
  assert.deepEqual([...(verdict?.failedForGood ?? [])], [['a', 'never']]);
  const [{ path, body } = { path: '', body: {} }] = asked;
  assert.equal(path, '/api/filter');
  assert.match(JSON.stringify(body), /"nodes":\{"apiVersion":"v1","kind":"NodeList"/);
});

test('only pods with its resources are its business', () => {
  const managed = extender({ managedResources: [{ name: 'example.com/gpu' }] });
  assert.equal(managed.isInterestedIn(pod), true);
  assert.equal(managed.isInterestedIn(podInfo(testPod('q'))), false);
  assert.equal(extender().isInterestedIn(podInfo(testPod('q'))), true);
});

test('it may strike candidates and victims out', async () => {
  answer = () => ({ body: { nodeNameToMetaVictims: { a: { pods: [{ uid: 'uid-victim' }], numPDBViolations: 1 } } } });
  const victims = [podInfo(testPod('victim')), podInfo(testPod('spared'))];
  const candidates = state.nodes.map((node) => ({ node, victims, budgetViolations: 0 }));
  const left = await extender().preempt?.(pod, candidates);
  assert.deepEqual(
    left?.map(({ node, victims: pods, budgetViolations }) => [node.name, pods.map(({ key }) => key), budgetViolations]),
    [['a', ['default/victim'], 1]],
  );
});

const failures: readonly (readonly [string, typeof answer, RegExp])[] = [
  ['an error of its own', () => ({ body: { error: 'no idea' } }), /no idea/],
  ['another status', () => ({ code: 503, body: '' }), /answered 503/],
  ['no JSON', () => ({ body: 'hello' }), /answered no JSON/],
  ['no answer', () => undefined, /did not answer within 50 ms/],
  ['an answer of another shape', () => ({ body: { nodenames: 'a' } }), /nodenames: Invalid value: "a": must be a list/],
];
for (const [name, given, message] of failures) {
  test(`an extender that fails: ${name}`, async () => {
    answer = given;
    await assert.rejects(async () => extender({ httpTimeout: '50ms' }).filter?.(pod, state.nodes), message);
  });
}

test('over TLS: certificates and keys come as data, and both sides are checked', async () => {
  const world = realWorld({ level: 'error' });
  const ca = await createCertificateAuthority(world, 'extenders');
  const serving = await issueCertificate(world, { ca, commonName: 'extender', dnsNames: ['extender.example'], usages: ['server'] });
  const own = await issueCertificate(world, { ca, commonName: 'scheduler', usages: ['client'] });
  const secure = createSecureServer(
    { cert: serving.certificate, key: serving.key, ca: ca.certificate, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      request.resume();
      response.end(JSON.stringify({ nodenames: ['b'] }));
    },
  );
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = secure.address() as AddressInfo;
    const data = (text: string): string => Buffer.from(text).toString('base64');
    const asked = (tlsConfig: object): Promise<string[]> | undefined =>
      createExtender(
        readExtender(Arguments.of({ urlPrefix: `http://127.0.0.1:${port}`, filterVerb: 'filter', enableHTTPS: true, tlsConfig }, 'extenders[0]')),
        world,
      )
        .filter?.(pod, state.nodes)
        .then(({ nodes }) => nodes.map(({ name }) => name));
    const pair = { certData: data(own.certificate), keyData: data(own.key) };
    const good = { caData: data(ca.certificate), serverName: 'extender.example', ...pair };
    assert.deepEqual(await asked(good), ['b']);
    assert.deepEqual(await asked({ insecure: true, ...pair }), ['b']);
    await assert.rejects(async () => asked({ ...good, serverName: 'another.example' }), /altnames/);
    await assert.rejects(async () => asked({ ...good, caData: data(serving.certificate) }), /certificate/);
    await assert.rejects(
      async () => asked({ caData: data(ca.certificate), serverName: 'extender.example' }),
      /certificate required|handshake|ECONNRESET|EPIPE/,
    );
  } finally {
    secure.closeAllConnections();
    secure.close();
  }
});
