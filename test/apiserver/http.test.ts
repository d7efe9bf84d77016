import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { configMap, type Json, startTestServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
});

after(() => server.close());

const configMaps = '/api/v1/namespaces/default/configmaps';

test('a created object can be read, listed and deleted', async () => {
  const created = await server.send(configMaps, { method: 'POST', body: configMap('a', { x: '1' }) });
  assert.equal(created.code, 201);
  const read = await server.send(`${configMaps}/a`);
  assert.equal(read.code, 200);
  assert.equal(read.headers['content-type'], 'application/json');
  assert.match(String(read.headers['audit-id']), /^[0-9a-f-]{36}$/);
  assert.equal(read.json.data.x, '1');
  const list = await server.send(configMaps);
  assert.equal(list.json.kind, 'ConfigMapList');
  assert.deepEqual(
    list.json.items.map((item: Json) => item.metadata.name),
    ['a'],
  );
  const deleted = await server.send(`${configMaps}/a`, { method: 'DELETE' });
  assert.equal(deleted.json.status, 'Success');
  const gone = await server.send(`${configMaps}/a`);
  assert.equal(gone.code, 404);
  assert.equal(gone.json.message, 'configmaps "a" not found');
  assert.deepEqual(gone.json.details, { name: 'a', kind: 'configmaps' });
});

test('HTTP/2 is spoken on the same port', async () => {
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, {
    ca: server.ca.certificate,
    cert: server.admin.certificate,
    key: server.admin.key,
  });
  try {
    const replies = await Promise.all(
      ['/version', '/api/v1/namespaces/default'].map(
        (path) =>
          new Promise<Json>((resolve, reject) => {
            const stream = session.request({ ':path': path });
            let text = '';
            stream.setEncoding('utf8');
            stream.on('data', (chunk: string) => {
              text += chunk;
            });
            stream.on('end', () => resolve(JSON.parse(text)));
            stream.on('error', reject);
          }),
      ),
    );
    assert.equal(replies[0].major, '1');
    assert.equal(replies[1].metadata.name, 'default');
  } finally {
    session.close();
  }
});

test('YAML is read and written', async () => {
  const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  k: "v"\n';
  const created = await server.send(configMaps, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/yaml', accept: 'application/yaml' },
  });
  assert.equal(created.code, 201);
  assert.equal(created.headers['content-type'], 'application/yaml');
  assert.match(created.text, /^kind: ConfigMap\napiVersion: v1\n/);
  assert.match(created.text, /\n {2}k: v\n/);
});

test('what cannot be read or written is refused by its code', async () => {
  const malformed = await server.send(configMaps, { method: 'POST', body: '{"kind":', headers: { 'content-type': 'application/json' } });
  assert.equal(malformed.code, 400);
  const unknownType = await server.send(configMaps, { method: 'POST', body: 'x', headers: { 'content-type': 'text/csv' } });
  assert.equal(unknownType.code, 415);
  assert.equal(unknownType.json.reason, 'UnsupportedMediaType');
  const unacceptable = await server.send(configMaps, { headers: { accept: 'application/vnd.kubernetes.protobuf' } });
  assert.equal(unacceptable.code, 406);
  assert.equal(unacceptable.json.reason, 'NotAcceptable');
  const method = await server.send(configMaps, { method: 'OPTIONS' });
  assert.equal(method.code, 405);
});

test('a body over 3 MiB is refused with 413, declared or not', async () => {
  const body = JSON.stringify(configMap('big', { k: 'x'.repeat(3 * 1024 * 1024) }));
  const declared = await server.send(configMaps, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  assert.equal(declared.code, 413);
  assert.equal(declared.json.reason, 'RequestEntityTooLarge');
  const chunked = await server.send(configMaps, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
  });
  assert.equal(chunked.code, 413);
  assert.equal((await server.send('/healthz')).text, 'ok');
});

test('unknown resources and paths are not found', async () => {
  for (const path of [
    '/api/v1/namespaces/default/fruits',
    '/apis/nothing.io/v1/things',
    '/apis/apps/v9/deployments',
    '/apis/apps/v9',
    '/nowhere',
    '/api/v1/namespaces/default/nodes',
    `${configMaps}/a/peel`,
  ]) {
    const reply = await server.send(path);
    assert.equal(reply.code, 404, path);
    assert.equal(reply.json.kind, 'Status', path);
    assert.equal(reply.json.message, 'the server could not find the requested resource', path);
  }
});

test('bytes that are not HTTP get a Status, and the server goes on', async () => {
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port: server.port, ca: server.ca.certificate, servername: 'localhost' }, () =>
      socket.write('HELLO?\r\n\r\n'),
    );
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      received += chunk;
    });
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
  assert.match(text, /^HTTP\/1\.1 400 /);
  assert.match(text, /"kind":"Status"/);
  assert.equal((await server.send('/healthz')).code, 200);
});

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

/** Reads a watch line by line until `count` events have come. */
function watchLines(path: string, count: number, whenOpen: () => Promise<unknown>, headers: Record<string, string> = {}): Promise<Json[]> {
  const { admin, ca, port } = server;
  return new Promise((resolve, reject) => {
    const events: Json[] = [];
    let rest = '';
    const request = httpsRequest(
      { host: '127.0.0.1', port, path, ca: ca.certificate, cert: admin.certificate, key: admin.key, agent: false, headers },
      (response) => {
        response.setEncoding('utf8');
        response.on('error', () => undefined);
        response.on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          events.push(...lines.map((line): Json => JSON.parse(line)));
          if (events.length >= count) {
            request.destroy();
            resolve(events);
          }
        });
        whenOpen().catch(reject);
      },
    );
    request.on('error', (error) => (events.length >= count ? undefined : reject(error)));
    request.end();
  });
}

test('a watch streams what happens, a line of JSON per event', async () => {
  const since = (await server.send(configMaps)).json.metadata.resourceVersion as string;
  const events = await watchLines(`${configMaps}?watch=true&resourceVersion=${since}&fieldSelector=metadata.name%3Dwatched`, 3, async () => {
    await server.send(configMaps, { method: 'POST', body: configMap('watched') });
    await server.send(`${configMaps}/watched`, {
      method: 'PATCH',
      body: '{"data":{"k":"v"}}',
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    await server.send(`${configMaps}/watched`, { method: 'DELETE' });
  });
  assert.deepEqual(
    events.map(({ type }) => type),
    ['ADDED', 'MODIFIED', 'DELETED'],
  );
  assert.equal(events[1].object.data.k, 'v');
});

test('a watch as a table tells the columns once', async () => {
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
  const since = (await server.send(configMaps)).json.metadata.resourceVersion as string;
  const events = await watchLines(
    `${configMaps}?watch=true&resourceVersion=${since}`,
    2,
    async () => {
      await server.send(configMaps, { method: 'POST', body: configMap('w1') });
      await server.send(configMaps, { method: 'POST', body: configMap('w2') });
    },
    headers,
  );
  assert.equal(events[0].object.columnDefinitions.length, 3);
  assert.equal(events[1].object.columnDefinitions, null);
  assert.equal(events[1].object.rows[0].cells[0], 'w2');
});

test('a watch over WebSocket has an event per message', async () => {
  const { admin, ca, port } = server;
  const since = (await server.send(configMaps)).json.metadata.resourceVersion as string;
  const socket = new WebSocket(`wss://127.0.0.1:${port}${configMaps}?watch=true&resourceVersion=${since}`, {
    ca: ca.certificate,
    cert: admin.certificate,
    key: admin.key,
  });
  try {
    const event = await new Promise<Json>((resolve, reject) => {
      socket.on('message', (data: Buffer) => resolve(JSON.parse(data.toString('utf8'))));
      socket.on('error', reject);
      socket.on('open', () => void server.send(configMaps, { method: 'POST', body: configMap('socketed') }));
    });
    assert.equal(event.type, 'ADDED');
    assert.equal(event.object.metadata.name, 'socketed');
  } finally {
    socket.close();
  }
});

test('health, version, metrics and the list of paths', async () => {
  for (const path of ['/healthz', '/livez', '/readyz', '/readyz/ping']) assert.equal((await server.send(path)).text, 'ok', path);
  const verbose = await server.send('/readyz?verbose&exclude=ping');
  assert.match(verbose.text, /^\[\+\]ping excluded: ok\n.*readyz check passed\n$/s);
  const version = await server.send('/version', { identity: undefined });
  assert.equal(version.json.major, '1');
  assert.match(version.json.gitVersion, /^v1\.36\.\d+\+k8ts/);
  const metrics = await server.send('/metrics');
  assert.match(
    metrics.text,
    /^apiserver_request_total\{code="200",component="apiserver",group="",resource="configmaps",scope="namespace",subresource="",verb="LIST",version="v1"\} \d+$/m,
  );
  const root = await server.send('/');
  for (const path of ['/api', '/api/v1', '/apis/apps/v1', '/healthz', '/metrics', '/openapi/v2', '/version'])
    assert.ok(root.json.paths.includes(path), path);
});

test('the in-process connection is routed, authorized and answered like HTTP', async () => {
  const masters = server.api.connect({ name: 'root', uid: '', groups: ['system:masters'], extra: {} });
  const nobody = server.api.connect({ name: 'nobody', uid: '', groups: [], extra: {} });
  const created = (await masters.request({ method: 'POST', path: configMaps, body: configMap('inside') })) as Json;
  assert.equal(created.metadata.namespace, 'default');
  const list = (await masters.request({ method: 'GET', path: configMaps, query: { fieldSelector: 'metadata.name=inside' } })) as Json;
  assert.equal(list.items.length, 1);
  await assert.rejects(nobody.request({ method: 'GET', path: configMaps }), { name: 'ApiError', code: 403 });
  assert.equal(((await nobody.request({ method: 'GET', path: '/version' })) as Json).major, '1');
  const seen: string[] = [];
  const watch = masters.watch({ method: 'GET', path: configMaps, query: { resourceVersion: list.metadata.resourceVersion as string } });
  const deleting = masters.request({ method: 'DELETE', path: `${configMaps}/inside` });
  for await (const event of watch) {
    seen.push(event.type);
    break;
  }
  await deleting;
  assert.deepEqual(seen, ['DELETED']);
});
