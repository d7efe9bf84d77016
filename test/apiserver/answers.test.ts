/** How answers look: as tables, as metadata alone, compressed, large, and indented for people. */
import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { gunzipSync } from 'node:zlib';
import { after, before, test } from 'node:test';
import { configMap, type Json, startTestServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
});

after(() => server.close());

const configMaps = '/api/v1/namespaces/default/configmaps';

test("tables carry the kind's columns, and as much of the object as asked for", async () => {
  await server.send(configMaps, { method: 'POST', body: configMap('tabled', { a: '1', b: '2' }) });
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
  const query = 'fieldSelector=metadata.name%3Dtabled';
  const table = await server.send(`${configMaps}?${query}`, { headers: { accept } });
  assert.equal(table.json.kind, 'Table');
  assert.equal(table.json.apiVersion, 'meta.k8s.io/v1');
  assert.deepEqual(
    table.json.columnDefinitions.map((column: Json) => column.name),
    ['Name', 'Data', 'Age'],
  );
  assert.deepEqual(table.json.rows[0].cells.slice(0, 2), ['tabled', 2]);
  assert.equal(table.json.rows[0].object.kind, 'PartialObjectMetadata');
  assert.equal((await server.send(`${configMaps}?${query}&includeObject=None`, { headers: { accept } })).json.rows[0].object, null);
  assert.equal((await server.send(`${configMaps}?${query}&includeObject=Object`, { headers: { accept } })).json.rows[0].object.data.a, '1');
  assert.equal((await server.send(`${configMaps}?${query}&includeObject=Some`, { headers: { accept } })).code, 400);
  const single = await server.send(`${configMaps}/tabled`, { headers: { accept } });
  assert.equal(single.json.rows.length, 1);
});

test('a scale has columns of its own', async () => {
  const controllers = '/api/v1/namespaces/default/replicationcontrollers';
  const template = { metadata: { labels: { app: 'scaled' } }, spec: { containers: [{ name: 'a', image: 'b' }] } };
  const body = { apiVersion: 'v1', kind: 'ReplicationController', metadata: { name: 'scaled' }, spec: { replicas: 2, template } };
  assert.equal((await server.send(controllers, { method: 'POST', body })).code, 201);
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };
  const { json } = await server.send(`${controllers}/scaled/scale`, { headers });
  assert.deepEqual(
    json.columnDefinitions.map((column: Json) => column.name),
    ['Name', 'Desired', 'Available', 'Age'],
  );
  assert.deepEqual(json.rows[0].cells.slice(0, 3), ['scaled', 2, 0]);
});

test('metadata only', async () => {
  await server.send(configMaps, { method: 'POST', body: configMap('meta', { a: '1' }) });
  const one = await server.send(`${configMaps}/meta`, { headers: { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' } });
  assert.equal(one.json.kind, 'PartialObjectMetadata');
  assert.equal(one.json.metadata.name, 'meta');
  assert.equal(one.json.data, undefined);
  const list = await server.send(configMaps, { headers: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' } });
  assert.equal(list.json.kind, 'PartialObjectMetadataList');
});

test('big answers are compressed for those who take it', async () => {
  await server.send(configMaps, { method: 'POST', body: configMap('zipped', { k: 'x'.repeat(200_000) }) });
  const plain = await server.send(`${configMaps}/zipped`);
  assert.equal(plain.headers['content-encoding'], undefined);
  const zipped = await new Promise<Buffer>((resolve, reject) => {
    const { admin, ca, port } = server;
    httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path: `${configMaps}/zipped`,
        ca: ca.certificate,
        cert: admin.certificate,
        key: admin.key,
        headers: { 'accept-encoding': 'gzip' },
        agent: false,
      },
      (response) => {
        assert.equal(response.headers['content-encoding'], 'gzip');
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks)));
      },
    )
      .on('error', reject)
      .end();
  });
  assert.equal(gunzipSync(zipped).toString(), plain.text);
});

test('answers are compressed above 128 KiB', async () => {
  await server.send(configMaps, { method: 'POST', body: configMap('threshold', { k: '' }) });
  const empty = Buffer.byteLength((await server.send(`${configMaps}/threshold`)).text);
  const headers = { 'content-type': 'application/merge-patch+json' };
  for (const [over, encoding] of [
    [-200, undefined],
    [200, 'gzip'],
  ] as const) {
    const body = JSON.stringify({ data: { k: 'x'.repeat(128 * 1024 - empty + over) } });
    await server.send(`${configMaps}/threshold`, { method: 'PATCH', body, headers });
    const reply = await server.send(`${configMaps}/threshold`, { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(reply.headers['content-encoding'], encoding);
  }
});

test('a list of megabytes arrives whole, over HTTP/1.1 and HTTP/2', async () => {
  const path = '/api/v1/namespaces/kube-public/configmaps';
  const names = ['a', 'b', 'c', 'd', 'e'];
  for (const name of names) {
    const value = name.repeat(500_000);
    await server.send(path, { method: 'POST', body: { ...configMap(name, { value }), metadata: { name, namespace: 'kube-public' } } });
  }
  const check = (list: Json): void =>
    assert.deepEqual(
      list.items.map(({ metadata, data }: Json) => [metadata.name, data.value === metadata.name.repeat(500_000)]),
      names.map((name) => [name, true]),
    );
  check((await server.send(path)).json);
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, {
    ca: server.ca.certificate,
    cert: server.admin.certificate,
    key: server.admin.key,
  });
  try {
    check(
      await new Promise<Json>((resolve, reject) => {
        const stream = session.request({ ':path': path });
        let text = '';
        stream.setEncoding('utf8');
        stream.on('data', (chunk: string) => {
          text += chunk;
        });
        stream.on('end', () => resolve(JSON.parse(text)));
        stream.on('error', reject);
      }),
    );
  } finally {
    session.close();
    await server.send(path, { method: 'DELETE' });
  }
});

test('answers are indented for curl', async () => {
  const reply = await server.send('/api/v1/namespaces/default', { headers: { 'user-agent': 'curl/8.1' } });
  assert.match(reply.text, /^\{\n {2}"/);
});
