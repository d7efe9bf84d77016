/** Aggregated APIs: another server behind a Service, with the aggregator's word about who asks. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCertificateAuthority, issueCertificate } from '../src/kubeadm/certificates.ts';
import { realWorld } from '../src/world/real.ts';
import { kubeconfigOf } from './apiserver/kubeconfig.ts';
import { sampleGroup, sampleVersion, type SampleServer, startSampleServer } from './apiserver/sample-api-server.ts';
import { type Json, startTestServer, type TestServer } from './apiserver/server.ts';
import { run, stockTools } from './support/stock-tools.ts';

const apiServices = '/apis/apiregistration.k8s.io/v1/apiservices';
const name = `${sampleVersion}.${sampleGroup}`;
const root = `/apis/${sampleGroup}/${sampleVersion}`;
const flunders = `${root}/namespaces/sample/flunders`;
const world = realWorld({ level: 'silent' });

let server: TestServer;
let sample: SampleServer;

before(async () => {
  const frontProxyCa = await createCertificateAuthority(world, 'front-proxy-ca');
  const proxyClient = await issueCertificate(world, { ca: frontProxyCa, commonName: 'front-proxy-client', usages: ['client'] });
  server = await startTestServer({
    proxyClient,
    requestHeader: {
      clientCa: frontProxyCa.certificate,
      allowedNames: ['front-proxy-client'],
      usernameHeaders: ['X-Remote-User'],
      uidHeaders: ['X-Remote-Uid'],
      groupHeaders: ['X-Remote-Group'],
      extraHeaderPrefixes: ['X-Remote-Extra-'],
    },
  });
  await server.send('/api/v1/namespaces', { method: 'POST', body: { metadata: { name: 'sample' } } });
  const config = await server.send('/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication');
  assert.deepEqual(JSON.parse(config.json.data['requestheader-allowed-names']), ['front-proxy-client']);
  assert.deepEqual(JSON.parse(config.json.data['requestheader-username-headers']), ['X-Remote-User']);
  assert.equal(config.json.data['client-ca-file'], server.ca.certificate);
  sample = await startSampleServer({
    world,
    requestHeaderCa: config.json.data['requestheader-client-ca-file'],
    serviceName: 'sample-api.sample',
  });
});

after(async () => {
  await server.close();
  await sample.close();
});

beforeEach(() => {
  sample.isBroken = false;
  sample.mayAccess = undefined;
});

async function until<T>(read: () => Promise<T | undefined>): Promise<T> {
  for (let turn = 0; turn < 400; turn++) {
    const value = await read();
    if (value !== undefined) return value;
    await sleep(25);
  }
  assert.fail('it never was so');
}

function untilCondition(status: string, reason: string): Promise<Json> {
  return until(async () => {
    const { json } = await server.send(`${apiServices}/${name}`);
    const condition = json.status?.conditions?.find(({ type }: Json) => type === 'Available');
    return condition?.status === status && condition.reason === reason ? condition : undefined;
  });
}

async function ok(path: string, options: Parameters<TestServer['send']>[1] = {}): Promise<Json> {
  const reply = await server.send(path, options);
  assert.ok(reply.code >= 200 && reply.code < 300, `${path}: ${reply.code} ${reply.text}`);
  return reply.json;
}

const service = { metadata: { name: 'sample-api' }, spec: { ports: [{ port: 7443, targetPort: 443 }] } };
const slice = () => ({
  metadata: { name: 'sample-api-1', labels: { 'kubernetes.io/service-name': 'sample-api' } },
  addressType: 'IPv4',
  ports: [{ name: '', port: sample.port, protocol: 'TCP' }],
  endpoints: [{ addresses: [sample.address], conditions: { ready: true } }],
});
const registration = (spec: object = {}) => ({
  metadata: { name },
  spec: {
    group: sampleGroup,
    version: sampleVersion,
    groupPriorityMinimum: 2000,
    versionPriority: 200,
    service: { namespace: 'sample', name: 'sample-api', port: 7443 },
    caBundle: sample.caBundle,
    ...spec,
  },
});

test('every group and version that is served here has an object that says so', async () => {
  const { items } = await ok(apiServices);
  const found = new Map<string, Json>(items.map((item: Json) => [item.metadata.name, item]));
  assert.equal(found.get('v1.')?.spec.groupPriorityMinimum, 18_000);
  assert.deepEqual(found.get('v2.autoscaling')?.spec, { group: 'autoscaling', version: 'v2', groupPriorityMinimum: 17_500, versionPriority: 30 });
  assert.equal(found.get('v1.apps')?.metadata.labels['kube-aggregator.kubernetes.io/automanaged'], 'onstart');
  assert.equal(found.has('v1.apiregistration.k8s.io'), false);
  await until(async () => {
    const [condition] = (await ok(`${apiServices}/v1.apps`)).status.conditions ?? [];
    return condition?.reason === 'Local' && condition.status === 'True' ? condition : undefined;
  });
});

test("a definition's versions have theirs as long as they are served", async () => {
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const version = (versionName: string, served: boolean) => ({
    name: versionName,
    served,
    storage: versionName === 'v1',
    schema: { openAPIV3Schema: { type: 'object' } },
  });
  const definition = {
    metadata: { name: 'boats.sea.example.com' },
    spec: {
      group: 'sea.example.com',
      scope: 'Namespaced',
      names: { plural: 'boats', kind: 'Boat' },
      versions: [version('v1', true), version('v2', true)],
    },
  };
  await ok(definitions, { method: 'POST', body: definition });
  const present = async (versionName: string) => (await server.send(`${apiServices}/${versionName}.sea.example.com`)).code === 200;
  await until(async () => ((await present('v1')) && (await present('v2')) ? true : undefined));
  const object = await ok(`${apiServices}/v1.sea.example.com`);
  assert.deepEqual([object.spec.groupPriorityMinimum, object.spec.versionPriority], [1000, 100]);
  assert.equal(object.metadata.labels['kube-aggregator.kubernetes.io/automanaged'], 'true');
  await ok(`${apiServices}/v1.sea.example.com`, { method: 'DELETE' });
  await until(async () => ((await present('v1')) ? true : undefined));
  await ok(`${definitions}/boats.sea.example.com`, { method: 'DELETE' });
  await until(async () => ((await present('v1')) || (await present('v2')) ? undefined : true));
});

describe('a registered API', () => {
  test('says what is missing until it can be asked', async () => {
    await ok(apiServices, { method: 'POST', body: registration() });
    const { message } = await untilCondition('False', 'ServiceNotFound');
    assert.equal(message, 'service/sample-api in "sample" is not present');
    assert.equal((await server.send(flunders)).code, 503);
    await ok('/api/v1/namespaces/sample/services', { method: 'POST', body: { ...service, spec: { ports: [{ port: 1 }] } } });
    await untilCondition('False', 'ServicePortError');
    const written = await ok('/api/v1/namespaces/sample/services/sample-api');
    await ok('/api/v1/namespaces/sample/services/sample-api', { method: 'PUT', body: { ...written, spec: { ...written.spec, ...service.spec } } });
    await untilCondition('False', 'EndpointsNotFound');
    const slices = '/apis/discovery.k8s.io/v1/namespaces/sample/endpointslices';
    await ok(slices, { method: 'POST', body: { ...slice(), endpoints: [{ addresses: [sample.address], conditions: { ready: false } }] } });
    await untilCondition('False', 'MissingEndpoints');
    sample.isBroken = true;
    await ok(`${slices}/sample-api-1`, { method: 'DELETE' });
    await ok(slices, { method: 'POST', body: slice() });
    const failed = await untilCondition('False', 'FailedDiscoveryCheck');
    assert.equal(
      failed.message,
      `failing or missing response from https://sample-api.sample.svc:7443${root}: bad status from https://sample-api.sample.svc:7443${root}: 500`,
    );
    sample.isBroken = false;
    const passed = await untilCondition('True', 'Passed');
    assert.equal(passed.message, 'all checks passed');
  });

  test('[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator [Conformance]', async () => {
    await untilCondition('True', 'Passed');
    const created = await ok(flunders, {
      method: 'POST',
      body: { apiVersion: `${sampleGroup}/${sampleVersion}`, kind: 'Flunder', metadata: { name: 'test-flunder' }, spec: { reference: 'x' } },
    });
    assert.equal(created.metadata.namespace, 'sample');
    assert.equal((await ok(flunders)).items.length, 1);
    assert.equal((await ok(`${flunders}/test-flunder`)).spec.reference, 'x');
    const { groups } = await ok('/apis');
    const group = groups.find((candidate: Json) => candidate.name === sampleGroup);
    assert.deepEqual(group.preferredVersion, { groupVersion: `${sampleGroup}/${sampleVersion}`, version: sampleVersion });
    assert.equal((await ok(`/apis/${sampleGroup}`)).name, sampleGroup);
    assert.equal((await ok(root)).resources[0].name, 'flunders');
    const status = await ok(`${apiServices}/${name}/status`);
    assert.ok(status.status.conditions.length > 0);
    const patched = await ok(`${apiServices}/${name}/status`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ status: { conditions: [...status.status.conditions, { type: 'StatusPatched', status: 'True' }] } }),
    });
    assert.ok(patched.status.conditions.some(({ type }: Json) => type === 'StatusPatched'));
    const labelled = await ok(`${apiServices}/${name}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ metadata: { labels: { 'e2e-apiservice': 'patched' } } }),
    });
    assert.equal(labelled.metadata.labels['e2e-apiservice'], 'patched');
    assert.equal((await ok(`${apiServices}?labelSelector=e2e-apiservice=patched`)).items.length, 1);
    await ok(`${flunders}/test-flunder`, { method: 'DELETE' });
    assert.equal((await ok(flunders)).items.length, 0);
  });

  test('is told who asks, and no client may say it in its place', async () => {
    await untilCondition('True', 'Passed');
    sample.users.length = 0;
    const headers = { 'X-Remote-User': 'root', 'X-Remote-Group': 'system:masters', 'X-Remote-Extra-Scopes': 'all' };
    await ok(flunders, { headers });
    assert.equal(sample.users.length, 1);
    assert.deepEqual([sample.users[0]?.name, sample.users[0]?.groups], ['admin', ['system:masters', 'system:authenticated']]);
    assert.equal(sample.users[0]?.extra['scopes'], undefined);
    sample.users.length = 0;
    await ok(flunders, { headers: { 'Impersonate-User': 'jane', 'Impersonate-Group': 'system:masters', 'Impersonate-Extra-Dot%2fCom': 'x' } });
    assert.equal(sample.users[0]?.name, 'jane');
    assert.deepEqual(sample.users[0]?.extra, { 'dot/com': 'x' });
    assert.equal((await server.send(flunders, { token: 'sesame' })).code, 403, 'this server asks for rights, too');
    sample.mayAccess = () => Promise.resolve(false);
    const refused = await server.send(flunders);
    assert.equal(refused.code, 403);
    assert.match(refused.json.message, /User "admin" cannot list/);
  });

  test('can be watched, and can change protocols', async () => {
    await untilCondition('True', 'Passed');
    const { admin, port, ca } = server;
    const identity = { host: '127.0.0.1', port, ca: ca.certificate, cert: admin.certificate, key: admin.key, agent: false as const };
    const watch = httpsRequest({ ...identity, path: `${flunders}?watch=1` });
    watch.end();
    const lines = await new Promise<string>((resolve, reject) => {
      watch.on('error', reject);
      watch.on('response', (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (text.includes('"DELETED"')) resolve(text);
        });
        ok(flunders, { method: 'POST', body: { metadata: { name: 'seen' } } })
          .then(() => ok(`${flunders}/seen`, { method: 'DELETE' }))
          .catch(reject);
      });
    });
    assert.match(lines, /"ADDED".*\n.*"DELETED"/);
    watch.destroy();
    const said = await new Promise<string>((resolve, reject) => {
      const upgrade = httpsRequest({ ...identity, path: `${flunders}/seen/swim`, headers: { connection: 'upgrade', upgrade: 'swim' } });
      upgrade.on('error', reject);
      upgrade.on('upgrade', (_response, socket, head) => {
        let text = head.toString();
        socket.write('hello');
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (!text.endsWith('hello')) return;
          socket.destroy();
          resolve(text);
        });
      });
      upgrade.end();
    });
    assert.equal(said, 'admin:hello');
  });

  test('is there for components in this process, and for kubectl', async () => {
    await untilCondition('True', 'Passed');
    const user = { name: 'system:serviceaccount:a:b', uid: '', groups: ['system:masters'], extra: {} };
    const connection = server.api.connect(user);
    const abort = new AbortController();
    const seen = (async () => {
      const types: string[] = [];
      for await (const { type } of connection.watch({ method: 'GET', path: flunders, signal: abort.signal })) {
        types.push(type);
        if (type === 'DELETED') break;
      }
      return types;
    })();
    sample.users.length = 0;
    const flunder = { apiVersion: `${sampleGroup}/${sampleVersion}`, kind: 'Flunder', metadata: { name: 'own' } };
    const created = (await connection.request({ method: 'POST', path: flunders, body: flunder })) as Json;
    assert.equal(created.metadata.namespace, 'sample');
    assert.equal(sample.users.at(-1)?.name, user.name);
    await assert.rejects(connection.request({ method: 'GET', path: `${flunders}/other` }), /flunders\.wardle\.example\.com "other" not found/);
    const home = mkdtempSync(join(tmpdir(), 'k8ts-aggregation-'));
    writeFileSync(join(home, 'kubeconfig'), JSON.stringify(kubeconfigOf(server)));
    const kubectl = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await run(stockTools().kubectl, args, { env: { HOME: home, KUBECONFIG: join(home, 'kubeconfig') } });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    assert.match(await kubectl('get', 'fl', '-n', 'sample'), /^NAME +AGE\nown +\S+\n$/);
    assert.match(await kubectl('api-resources', '--no-headers'), /^flunders +fl +wardle\.example\.com\/v1alpha1 +true +Flunder$/m);
    assert.match(await kubectl('explain', 'flunder.spec'), /reference\t<string>\n +Another fish\./);
    assert.match(await kubectl('get', 'apiservices', name), /sample\/sample-api +True/);
    await kubectl('delete', 'flunder', 'own', '-n', 'sample', '--wait=false');
    const types = await seen;
    assert.deepEqual([types.at(-2), types.at(-1)], ['ADDED', 'DELETED']);
    abort.abort();
    connection.close();
    rmSync(home, { recursive: true, force: true });
  });

  test('is in aggregated discovery, stale while it cannot be asked, and in OpenAPI', async () => {
    await untilCondition('True', 'Passed');
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const versionOf = async (): Promise<Json> => {
      const { items } = await ok('/apis', { headers: { accept } });
      return items.find((item: Json) => item.metadata.name === sampleGroup)?.versions[0];
    };
    const version = await versionOf();
    assert.equal(version.freshness, 'Current');
    assert.deepEqual(version.resources[0], {
      resource: 'flunders',
      responseKind: { group: sampleGroup, version: sampleVersion, kind: 'Flunder' },
      scope: 'Namespaced',
      singularResource: 'flunder',
      verbs: ['create', 'delete', 'get', 'list', 'update', 'watch'],
      shortNames: ['fl'],
      subresources: [{ subresource: 'swim', responseKind: { group: sampleGroup, version: sampleVersion, kind: 'Flunder' }, verbs: ['get'] }],
    });
    const { serverRelativeURL } = await until(async () => (await ok('/openapi/v3')).paths[`apis/${sampleGroup}/${sampleVersion}`]);
    assert.ok((await ok(serverRelativeURL)).components.schemas['com.example.wardle.v1alpha1.Flunder']);
    const { definitions, paths } = await ok('/openapi/v2');
    assert.equal(definitions['com.example.wardle.v1alpha1.Flunder'].description, 'A flat fish.');
    assert.equal(definitions['io.k8s.api.core.v1.Pod'].type, 'object', 'what is known here stays as it is');
    assert.equal(paths['/elsewhere'], undefined);
    sample.isBroken = true;
    await ok('/apis/discovery.k8s.io/v1/namespaces/sample/endpointslices/sample-api-1', {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ metadata: { labels: { again: 'yes' } } }),
    });
    await untilCondition('False', 'FailedDiscoveryCheck');
    assert.equal((await versionOf()).freshness, 'Stale');
    const refused = await server.send(flunders);
    assert.deepEqual([refused.code, refused.json.reason], [503, 'ServiceUnavailable']);
  });

  test('is gone with its object', async () => {
    await ok(`${apiServices}/${name}`, { method: 'DELETE' });
    await until(async () => ((await server.send(flunders)).code === 404 ? true : undefined));
    const { groups } = await ok('/apis');
    assert.equal(
      groups.some((group: Json) => group.name === sampleGroup),
      false,
    );
  });
});
