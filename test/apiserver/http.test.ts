/** Requests and answers over HTTP/1.1, HTTP/2 and in the process: what is read and written, refused, and ended when it takes too long. */
import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { after, before, test } from 'node:test';
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
