import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
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
  const supported = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';
  assert.equal(unknownType.json.message, `the body of the request was in an unknown format - accepted media types include: ${supported}`);
  const unacceptable = await server.send(configMaps, { headers: { accept: 'text/csv' } });
  assert.equal(unacceptable.json.message, `only the following media types are accepted: ${supported}`);
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
    /^apiserver_request_total\{code="200",component="apiserver",dry_run="",group="",resource="configmaps",scope="namespace",subresource="",verb="LIST",version="v1"\} \d+$/m,
  );
  const root = await server.send('/');
  for (const path of ['/api', '/api/v1', '/apis/apps/v1', '/healthz', '/metrics', '/openapi/v2', '/version'])
    assert.ok(root.json.paths.includes(path), path);
});

test('health checks have names, may be asked one by one, and left out', async () => {
  const verbose = await server.send('/livez?verbose');
  for (const name of ['ping', 'log', 'etcd', 'poststarthook/rbac/bootstrap-roles']) assert.ok(verbose.text.includes(`[+]${name} ok\n`), name);
  assert.match(verbose.text, /livez check passed\n$/);
  assert.doesNotMatch(verbose.text, /shutdown/);
  assert.match((await server.send('/readyz?verbose')).text, /^\[\+\]shutdown ok$/m);
  for (const path of ['/livez/ping', '/readyz/etcd', '/healthz/poststarthook/rbac/bootstrap-roles']) {
    const { code, text } = await server.send(path);
    assert.deepEqual([code, text], [200, 'ok'], path);
  }
  assert.equal((await server.send('/livez/nothing')).code, 404);
  const unknown = await server.send('/readyz?verbose&exclude=ping&exclude=nothing');
  assert.match(unknown.text, /^\[\+\]ping excluded: ok$/m);
  assert.match(unknown.text, /^warn: some health checks cannot be excluded: no matches for "nothing"$/m);
});

/** The rules of the text format that a reader relies on, as promtool checks them. */
function checkExposition(text: string): Map<string, string> {
  assert.ok(text.endsWith('\n'));
  const types = new Map<string, string>();
  const seen = new Set<string>();
  let family = '';
  for (const line of text.trimEnd().split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment !== null) {
      const [, what, name = '', rest = ''] = comment;
      if (what === 'HELP') {
        assert.ok(!types.has(name), `${name} comes twice`);
        family = name;
      } else {
        assert.equal(name, family, 'the type stands behind the help');
        assert.match(rest, /^(counter|gauge|histogram)$/);
        types.set(name, rest);
      }
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (-?[0-9.e+-]+|[+-]Inf|NaN)$/.exec(line);
    assert.ok(sample !== null, line);
    const [whole, name = '', labels = ''] = sample;
    const isHistogram = types.get(family) === 'histogram';
    assert.ok(isHistogram ? /_(bucket|sum|count)$/.test(name) && name.startsWith(family) : name === family, whole);
    if (types.get(family) === 'counter') assert.match(name, /_total$/);
    assert.ok(!seen.has(`${name}${labels}`), `${name}${labels} comes twice`);
    seen.add(`${name}${labels}`);
  }
  return types;
}

test("metrics are valid, under upstream's names, and count", async () => {
  await server.send(`${configMaps}?dryRun=All`, { method: 'POST', body: configMap('dry') });
  await server.send(configMaps, { method: 'POST', body: configMap('counted') });
  await watchLines(`${configMaps}?watch=true`, 1, () => Promise.resolve());
  await server.send(`${configMaps}/nothing`);
  const { text } = await server.send('/metrics');
  const types = checkExposition(text);
  for (const [name, type] of [
    ['apiserver_request_total', 'counter'],
    ['apiserver_request_duration_seconds', 'histogram'],
    ['apiserver_response_sizes', 'histogram'],
    ['apiserver_current_inflight_requests', 'gauge'],
    ['apiserver_longrunning_requests', 'gauge'],
    ['apiserver_watch_events_total', 'counter'],
    ['apiserver_watch_events_sizes', 'histogram'],
    ['apiserver_storage_objects', 'gauge'],
    ['apiserver_resource_objects', 'gauge'],
    ['apiserver_flowcontrol_dispatched_requests_total', 'counter'],
    ['kubernetes_build_info', 'gauge'],
    ['kubernetes_healthcheck', 'gauge'],
    ['process_cpu_seconds_total', 'counter'],
    ['process_resident_memory_bytes', 'gauge'],
    ['process_start_time_seconds', 'gauge'],
  ] as const)
    assert.equal(types.get(name), type, name);
  assert.match(text, /^apiserver_request_total\{code="201",component="apiserver",dry_run="All",group="",resource="configmaps",.*verb="POST".*\} 1$/m);
  assert.match(text, /^apiserver_request_total\{code="404",.*resource="configmaps",scope="resource",subresource="",verb="GET",version="v1"\} \d+$/m);
  assert.match(text, /^apiserver_storage_objects\{resource="namespaces"\} 4$/m);
  assert.match(text, /^apiserver_watch_events_total\{group="",kind="ConfigMap",version="v1"\} [1-9]/m);
  assert.match(text, /^apiserver_longrunning_requests\{group="",kind="ConfigMap",version="v1",.*\} \d+$/m);
  // The one that asks.
  assert.match(text, /^apiserver_current_inflight_requests\{request_kind="readOnly"\} 1$/m);
  assert.match(text, /^apiserver_current_inflight_requests\{request_kind="mutating"\} 0$/m);
});

test('a body of 3 MiB is read, one byte more is refused', async () => {
  const limit = 3 * 1024 * 1024;
  const patch = (size: number): string => `{"metadata":{"annotations":null}${' '.repeat(size - 33)}}`;
  await server.send(configMaps, { method: 'POST', body: configMap('limit') });
  const headers = { 'content-type': 'application/merge-patch+json' };
  for (const [size, code] of [
    [limit - 1, 200],
    [limit, 200],
    [limit + 1, 413],
  ] as const) {
    const body = patch(size);
    assert.equal(body.length, size);
    assert.equal((await server.send(`${configMaps}/limit`, { method: 'PATCH', body, headers })).code, code, String(size));
  }
});

test('a JSON patch of 10,000 operations is applied, one more is refused', async () => {
  await server.send(configMaps, { method: 'POST', body: configMap('operations', { k: '' }) });
  const headers = { 'content-type': 'application/json-patch+json' };
  for (const [count, code] of [
    [9_999, 200],
    [10_000, 200],
    [10_001, 413],
  ] as const) {
    const body = JSON.stringify(Array.from({ length: count }, (_, i) => ({ op: 'replace', path: '/data/k', value: String(i) })));
    assert.equal((await server.send(`${configMaps}/operations`, { method: 'PATCH', body, headers })).code, code, String(count));
  }
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

test('keys that stand twice are refused, warned of or let pass, as asked', async () => {
  const json = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"twice","labels":{"a":"1","a":"2"}},"data":{"k":"1","k":"2"}}';
  const yaml = 'kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: twice\ndata:\n  k: "1"\n  k: "2"\n';
  const send = (body: string, type: string, validation: string) =>
    server.send(`${configMaps}?dryRun=All${validation}`, { method: 'POST', body, headers: { 'content-type': type } });
  const strict = await send(json, 'application/json', '&fieldValidation=Strict');
  assert.equal(strict.code, 400);
  assert.match(strict.json.message, /strict decoding error: duplicate field "metadata\.labels\.a", duplicate field "data\.k"$/);
  const strictYaml = await send(yaml, 'application/yaml', '&fieldValidation=Strict');
  assert.equal(strictYaml.code, 400);
  assert.match(strictYaml.json.message, /strict decoding error: yaml: unmarshal errors:\n {2}line 7: key "k" already set in map$/);
  const warned = await send(json, 'application/json', '');
  assert.equal(warned.code, 201);
  assert.equal(warned.headers['warning'], '299 - "duplicate field \\"metadata.labels.a\\"", 299 - "duplicate field \\"data.k\\""');
  assert.equal(warned.json.data.k, '2');
  const warnedYaml = await send(yaml, 'application/yaml', '&fieldValidation=Warn');
  assert.equal(warnedYaml.headers['warning'], '299 - "line 7: key \\"k\\" already set in map"');
  assert.equal(warnedYaml.json.data.k, '2');
  for (const [body, type] of [
    [json, 'application/json'],
    [yaml, 'application/yaml'],
  ] as const) {
    const ignored = await send(body, type, '&fieldValidation=Ignore');
    assert.equal(ignored.code, 201);
    assert.equal(ignored.headers['warning'], undefined);
    assert.equal(ignored.json.data.k, '2');
  }
});

test('keys that stand twice in patches', async () => {
  await server.send(configMaps, { method: 'POST', body: configMap('patched-twice') });
  const patch = (body: string, type: string, query: string) =>
    server.send(`${configMaps}/patched-twice?${query}`, { method: 'PATCH', body, headers: { 'content-type': type } });
  const merge = await patch('{"data":{"k":"1","k":"2"}}', 'application/merge-patch+json', 'fieldValidation=Strict');
  assert.equal(merge.code, 422);
  assert.match(merge.json.message, /patch: Invalid value: .*strict decoding error: duplicate field "data\.k"/);
  const warned = await patch('{"data":{"k":"1","k":"2"}}', 'application/strategic-merge-patch+json', '');
  assert.equal(warned.code, 200);
  assert.equal(warned.headers['warning'], '299 - "duplicate field \\"data.k\\""');
  const applied = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"patched-twice"},"data":{"k":"2","k":"2"}}';
  const apply = await patch(applied, 'application/apply-patch+yaml', 'fieldManager=me&force=true&fieldValidation=Strict');
  assert.equal(apply.code, 400);
  assert.match(apply.json.message, /line 1: key "k" already set in map/);
});

test('a client may ask for a shorter time, and must ask for one that is a time', async () => {
  assert.equal((await server.send(`${configMaps}?timeout=5s`)).code, 200);
  assert.equal((await server.send(`${configMaps}?timeout=0s`)).code, 200);
  const reply = await server.send(`${configMaps}?timeout=soon`);
  assert.equal(reply.code, 400);
  assert.match(reply.json.message, /^invalid timeout specified in the request URL/);
});

test('a request that takes too long is ended with a 504', async () => {
  const silent = createServer();
  const sockets = new Set<Socket>();
  silent.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve);
  });
  const { port } = silent.address() as AddressInfo;
  const webhooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  const webhook = {
    name: 'silent.example.com',
    clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(server.ca.certificate).toString('base64') },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], operations: ['CREATE'] }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    timeoutSeconds: 30,
  };
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'silent' },
    webhooks: [webhook],
  };
  try {
    assert.equal((await server.send(webhooks, { method: 'POST', body: configuration })).code, 201);
    const reply = await server.send(`${configMaps}?timeout=1s`, { method: 'POST', body: configMap('late') });
    assert.equal(reply.code, 504);
    assert.equal(reply.json.reason, 'Timeout');
    assert.match(reply.json.message, /request did not complete within the allotted timeout/);
  } finally {
    await server.send(`${webhooks}/silent`, { method: 'DELETE' });
    for (const socket of sockets) socket.destroy();
    silent.close();
  }
  assert.equal((await server.send(`${configMaps}/late`)).code, 404);
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
