import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { schemaOf } from '../../src/api/schemas.ts';
import { readEnvelope, readObject } from '../../src/apiserver/protobuf/decode.ts';
import { encodeMessage, wrap } from '../../src/apiserver/protobuf/encode.ts';
import { Reader } from '../../src/apiserver/protobuf/wire.ts';
import { debianKubectl, debianPackage } from '../support/debian-packages.ts';
import { run, start } from '../support/stock-tools.ts';
import { configMap, type Json, startTestServer, type TestServer } from './server.ts';

const protobuf = 'application/vnd.kubernetes.protobuf';
const configMaps = '/api/v1/namespaces/default/configmaps';
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const widgets = '/apis/example.com/v1/namespaces/default/widgets';

let server: TestServer;
let work: string;

before(async () => {
  server = await startTestServer();
  work = mkdtempSync(join(tmpdir(), 'k8ts-protobuf-'));
  writeFileSync(join(work, 'ca.crt'), server.ca.certificate);
  writeFileSync(join(work, 'client.crt'), server.admin.certificate);
  writeFileSync(join(work, 'client.key'), server.admin.key);
  const user = { name: 'admin', user: { 'client-certificate': join(work, 'client.crt'), 'client-key': join(work, 'client.key') } };
  const cluster = { name: 'test', cluster: { server: `https://127.0.0.1:${server.port}`, 'certificate-authority': join(work, 'ca.crt') } };
  const context = { name: 'test', context: { cluster: 'test', user: 'admin' } };
  const config = { apiVersion: 'v1', kind: 'Config', clusters: [cluster], users: [user], contexts: [context], 'current-context': 'test' };
  writeFileSync(join(work, 'kubeconfig'), JSON.stringify(config));
  await server.send('/api/v1/namespaces/default/serviceaccounts', {
    method: 'POST',
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  });
});

after(async () => {
  await server.close();
  rmSync(work, { recursive: true, force: true });
});

interface RawReply {
  readonly code: number;
  readonly contentType: string | undefined;
  readonly bytes: Buffer;
}

interface RawSend {
  readonly method?: string;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: Buffer | string;
}

function raw(path: string, { method = 'GET', accept = protobuf, contentType = protobuf, body }: RawSend = {}): Promise<RawReply> {
  const { admin, ca, port } = server;
  const headers = { accept, ...(body !== undefined && { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }) };
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, path, method, headers, ca: ca.certificate, cert: admin.certificate, key: admin.key, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ code: response.statusCode ?? 0, contentType: response.headers['content-type'], bytes: Buffer.concat(chunks) }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

function decoded(bytes: Buffer, model: string): Json {
  return readObject(readEnvelope(bytes), schemaOf(model));
}

/** Fields of a message that are messages or strings themselves, by number. */
function delimitedFields(bytes: Buffer): Map<number, Buffer[]> {
  const fields = new Map<number, Buffer[]>();
  const reader = new Reader(bytes);
  while (!reader.done()) {
    const { field } = reader.tag();
    fields.set(field, [...(fields.get(field) ?? []), reader.delimited()]);
  }
  return fields;
}

function watchEvent(message: Buffer): { type: string; object: Buffer } {
  const fields = delimitedFields(message);
  const [object = Buffer.alloc(0)] = delimitedFields(fields.get(2)?.[0] ?? Buffer.alloc(0)).get(1) ?? [];
  return { type: fields.get(1)?.[0]?.toString() ?? '', object };
}

/** Events of a watch that ends by itself. */
async function watchEvents(path: string, accept = `${protobuf};stream=watch`): Promise<{ type: string; object: Buffer }[]> {
  const { code, contentType, bytes } = await raw(path, { accept });
  assert.equal(code, 200);
  assert.equal(contentType, `${protobuf};stream=watch`);
  const events: { type: string; object: Buffer }[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    events.push(watchEvent(bytes.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return events;
}

test('an object is created, read, changed and deleted in protobuf', async () => {
  const message = encodeMessage({ metadata: { name: 'a', labels: { x: 'y' } }, data: { k: 'v' } }, schemaOf('V1ConfigMap'));
  const created = await raw(configMaps, { method: 'POST', body: wrap('v1', 'ConfigMap', message) });
  assert.equal(created.code, 201);
  assert.equal(created.contentType, protobuf);
  const read = await raw(`${configMaps}/a`);
  assert.deepEqual(decoded(read.bytes, 'V1ConfigMap'), (await server.send(`${configMaps}/a`)).json);
  assert.deepEqual((await raw(`${configMaps}/a`)).bytes, read.bytes);
  const replacement = encodeMessage({ ...decoded(read.bytes, 'V1ConfigMap'), data: { k: 'w' } }, schemaOf('V1ConfigMap'));
  const updated = await raw(`${configMaps}/a`, { method: 'PUT', body: wrap('v1', 'ConfigMap', replacement) });
  assert.equal(decoded(updated.bytes, 'V1ConfigMap').data.k, 'w');
  const patch = { method: 'PATCH', contentType: 'application/merge-patch+json', body: '{"data":{"k":"z"}}' };
  const patched = await raw(`${configMaps}/a`, patch);
  assert.equal(decoded(patched.bytes, 'V1ConfigMap').data.k, 'z');
  const wrong = encodeMessage({ preconditions: { uid: 'another' } }, schemaOf('V1DeleteOptions'));
  const refused = await raw(`${configMaps}/a`, { method: 'DELETE', body: wrap('v1', 'DeleteOptions', wrong) });
  assert.equal(refused.code, 409);
  assert.equal(decoded(refused.bytes, 'V1Status').reason, 'Conflict');
  const deleted = await raw(`${configMaps}/a`, { method: 'DELETE' });
  assert.equal(decoded(deleted.bytes, 'V1Status').status, 'Success');
});

test('errors are a Status in protobuf', async () => {
  const { code, contentType, bytes } = await raw(`${configMaps}/nothing`);
  assert.equal(code, 404);
  assert.equal(contentType, protobuf);
  assert.deepEqual(decoded(bytes, 'V1Status'), (await server.send(`${configMaps}/nothing`)).json);
});

test('a list is its metadata and items, in pages too', async () => {
  for (const name of ['l1', 'l2', 'l3']) await server.send(configMaps, { method: 'POST', body: configMap(name, { name }) });
  const selected = '?fieldSelector=metadata.name!%3Dkube-root-ca.crt';
  const whole = (await server.send(`${configMaps}${selected}`)).json;
  const envelope = readEnvelope((await raw(`${configMaps}${selected}`)).bytes);
  assert.equal(`${envelope.apiVersion} ${envelope.kind}`, 'v1 ConfigMapList');
  const fields = delimitedFields(envelope.raw);
  const items = (fields.get(2) ?? []).map((item) => decoded(wrap('v1', 'ConfigMap', item), 'V1ConfigMap'));
  assert.deepEqual(
    items.map(({ kind: _kind, apiVersion: _apiVersion, ...item }: Json) => item),
    whole.items.map(({ kind: _kind, apiVersion: _apiVersion, ...item }: Json) => item),
  );
  const page = readEnvelope((await raw(`${configMaps}${selected}&limit=1`)).bytes);
  const [metadata = Buffer.alloc(0)] = delimitedFields(page.raw).get(1) ?? [];
  assert.notEqual(decoded(wrap('v1', 'ListMeta', metadata), 'V1ListMeta').continue, undefined);
});

test('a watch is frames with events around objects', async () => {
  await server.send(configMaps, { method: 'POST', body: configMap('framed', { k: 'v' }) });
  const query = 'watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const events = await watchEvents(`${configMaps}?${query}&fieldSelector=metadata.name%3Dframed`);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['ADDED', 'BOOKMARK'],
  );
  const [added, bookmark] = events.map(({ object }) => decoded(object, 'V1ConfigMap'));
  assert.deepEqual(added, (await server.send(`${configMaps}/framed`)).json);
  assert.equal(bookmark.metadata.annotations['k8s.io/initial-events-end'], 'true');
  const tooOld = await watchEvents(`${configMaps}?watch=1&timeoutSeconds=1&resourceVersion=1`);
  for (const { type, object } of tooOld) if (type === 'ERROR') assert.equal(decoded(object, 'V1Status').code, 410);
});

test('a watch over WebSocket has a protobuf message per event', async () => {
  await server.send(configMaps, { method: 'POST', body: configMap('socketed', { k: 'v' }) });
  const { admin, ca, port } = server;
  const socket = new WebSocket(`wss://127.0.0.1:${port}${configMaps}?watch=true&fieldSelector=metadata.name%3Dsocketed`, {
    ca: ca.certificate,
    cert: admin.certificate,
    key: admin.key,
    headers: { accept: protobuf },
  });
  try {
    const [message, isBinary] = await new Promise<[Buffer, boolean]>((resolve, reject) => {
      socket.on('message', (data: Buffer, binary) => resolve([data, binary]));
      socket.on('error', reject);
    });
    assert.ok(isBinary);
    assert.equal(decoded(watchEvent(message).object, 'V1ConfigMap').metadata.name, 'socketed');
  } finally {
    socket.close();
  }
});

test('tables are never protobuf: the next form in Accept is taken, or none', async () => {
  const table = 'as=Table;g=meta.k8s.io;v=v1';
  const fallen = await raw(configMaps, { accept: `${protobuf};${table},application/json;${table}` });
  assert.equal(fallen.contentType, 'application/json');
  assert.equal(JSON.parse(fallen.bytes.toString()).kind, 'Table');
  assert.equal((await raw(configMaps, { accept: `${protobuf};${table}` })).code, 406);
});

test('of a custom resource only the metadata is protobuf', async () => {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
  assert.equal((await server.send(definitions, { method: 'POST', body: definition })).code, 201);
  const widget = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' }, spec: { size: 1 } };
  let created = await server.send(widgets, { method: 'POST', body: widget });
  for (let tries = 0; created.code === 404 && tries < 100; tries++) {
    await sleep(20);
    created = await server.send(widgets, { method: 'POST', body: widget });
  }
  assert.equal(created.code, 201, created.text);
  const only = await raw(`${widgets}/w`);
  assert.equal(only.code, 406);
  assert.equal(decoded(only.bytes, 'V1Status').message, 'only the following media types are accepted: application/json, application/yaml');
  assert.equal((await raw(`${widgets}/w`, { accept: `${protobuf},application/json` })).contentType, 'application/json');
  const form = 'g=meta.k8s.io;v=v1';
  const metadata = await raw(`${widgets}/w`, { accept: `${protobuf};as=PartialObjectMetadata;${form}` });
  const { kind, apiVersion, raw: message } = readEnvelope(metadata.bytes);
  assert.equal(`${apiVersion} ${kind}`, 'meta.k8s.io/v1 PartialObjectMetadata');
  const [meta = Buffer.alloc(0)] = delimitedFields(message).get(1) ?? [];
  assert.equal(decoded(wrap('v1', 'ObjectMeta', meta), 'V1ObjectMeta').uid, created.json.metadata.uid);
  const list = readEnvelope((await raw(widgets, { accept: `${protobuf};as=PartialObjectMetadataList;${form}` })).bytes);
  assert.equal(list.kind, 'PartialObjectMetadataList');
  assert.equal(delimitedFields(list.raw).get(2)?.length, 1);
  const [event] = await watchEvents(`${widgets}?watch=1&timeoutSeconds=1`, `${protobuf};as=PartialObjectMetadata;${form}`);
  assert.equal(readEnvelope(event?.object ?? Buffer.alloc(0)).kind, 'PartialObjectMetadata');
});

test('one object is no list, and a list no object', async () => {
  const form = 'g=meta.k8s.io;v=v1';
  const one = await raw('/api/v1/namespaces/default', { accept: `application/json;as=PartialObjectMetadataList;${form}` });
  assert.equal(one.code, 406);
  const many = await raw('/api/v1/namespaces', { accept: `application/json;as=PartialObjectMetadata;${form}` });
  assert.equal(many.code, 406);
  assert.match(many.bytes.toString(), /you requested PartialObjectMetadata, but the requested object is a list/);
});

test("Go's informers with protobuf (Prometheus 3.5) see what there is and what changes", async () => {
  await server.send('/api/v1/nodes', {
    method: 'POST',
    body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] } },
  });
  await addPod('before', '10.1.2.3');
  const roles = ['pod', 'service', 'endpoints', 'endpointslice', 'node', 'ingress'];
  const tls = { ca_file: join(work, 'ca.crt'), cert_file: join(work, 'client.crt'), key_file: join(work, 'client.key') };
  const jobs = roles.map((role) => ({
    job_name: role,
    kubernetes_sd_configs: [{ role, api_server: `https://127.0.0.1:${server.port}`, tls_config: tls }],
    // Nothing is to be scraped: what it found is enough.
    relabel_configs: [{ action: 'drop', source_labels: ['__address__'], regex: '.*' }],
  }));
  writeFileSync(join(work, 'prometheus.yml'), JSON.stringify({ scrape_configs: jobs }));
  const program = join(await debianPackage('sid', 'prometheus'), 'usr/bin/prometheus');
  const flags = [`--config.file=${join(work, 'prometheus.yml')}`, `--storage.tsdb.path=${join(work, 'data')}`, '--web.listen-address=127.0.0.1:0'];
  const prometheus = start(program, flags);
  let log = '';
  prometheus.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text));
  prometheus.stdout?.resume();
  const ended = new Promise((resolve) => prometheus.on('close', resolve));
  try {
    const found = async (label: string, value: string): Promise<Json> => {
      for (let tries = 0; tries < 400; tries++) {
        const port = /Listening on.* address=127\.0\.0\.1:(\d+)/.exec(log)?.[1];
        const targets = port === undefined ? undefined : await fetch(`http://127.0.0.1:${port}/api/v1/targets?state=dropped`).catch(() => undefined);
        const labels =
          targets?.ok === true ? ((await targets.json()) as Json).data.droppedTargets.map((target: Json) => target.discoveredLabels) : [];
        const match = labels.find((candidate: Json) => candidate[label] === value);
        if (match !== undefined) return match;
        await sleep(50);
      }
      throw new Error(`Prometheus has not found ${label} ${value}:\n${log}`);
    };
    const pod = await found('__meta_kubernetes_pod_name', 'before');
    assert.equal(pod['__address__'], '10.1.2.3:80');
    assert.equal(pod['__meta_kubernetes_pod_ready'], 'true');
    assert.equal(pod['__meta_kubernetes_pod_label_app'], 'x');
    assert.equal((await found('__meta_kubernetes_node_name', 'n1'))['__meta_kubernetes_node_address_InternalIP'], '10.0.0.1');
    assert.equal((await found('__meta_kubernetes_service_cluster_ip', '10.96.0.1'))['__meta_kubernetes_service_port_number'], '443');
    await found('__meta_kubernetes_endpointslice_name', 'kubernetes');
    await addPod('after', '10.1.2.4');
    assert.equal((await found('__meta_kubernetes_pod_name', 'after'))['__address__'], '10.1.2.4:80');
    assert.doesNotMatch(log, /reflector\.go|level=ERROR/);
  } finally {
    prometheus.kill('SIGTERM');
    await ended;
  }
});

async function addPod(name: string, podIP: string): Promise<void> {
  const pods = '/api/v1/namespaces/default/pods';
  const spec = { nodeName: 'n1', containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, name: 'http' }] }] };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: 'x' } }, spec };
  assert.equal((await server.send(pods, { method: 'POST', body: pod })).code, 201);
  const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], hostIP: '10.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] };
  const headers = { 'content-type': 'application/merge-patch+json' };
  assert.equal((await server.send(`${pods}/${name}/status`, { method: 'PATCH', headers, body: JSON.stringify({ status }) })).code, 200);
}

for (const release of ['bookworm', 'sid'] as const) {
  test(`kubectl's typed clients (${release}) create and describe`, async () => {
    const kubectl = await debianKubectl(release);
    const env = { KUBECONFIG: join(work, 'kubeconfig'), HOME: work };
    const say = async (...words: string[]): Promise<string> => {
      const { code, stdout, stderr } = await run(kubectl, words, { env });
      assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
      return stdout;
    };
    assert.match(await say('create', 'deployment', release, '--image=nginx'), new RegExp(`deployment.apps/${release} created`));
    assert.match(await say('describe', 'deployment', release), /Image: +nginx\n/);
    assert.match(await say('create', 'secret', 'generic', release, '--from-literal=a=b'), /created/);
    assert.match(await say('describe', 'secret', release), /a: +1 bytes/);
    assert.match(await say('describe', 'namespace', 'default'), /Status: +Active/);
    assert.match(await say('auth', 'can-i', 'get', 'pods'), /yes/);
    assert.match(await say('rollout', 'history', `deployment/${release}`), /No rollout history found/);
  });
}
