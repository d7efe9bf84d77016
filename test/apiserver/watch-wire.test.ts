/** Watches on the wire: lines of JSON, tables, and messages of a WebSocket. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { configMap, type Json, startTestServer, type TestServer } from './server.ts';
import { watchLines } from './watch-lines.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
});

after(() => server.close());

const configMaps = '/api/v1/namespaces/default/configmaps';

test('a watch streams what happens, a line of JSON per event', async () => {
  const since = (await server.send(configMaps)).json.metadata.resourceVersion as string;
  const events = await watchLines(server, `${configMaps}?watch=true&resourceVersion=${since}&fieldSelector=metadata.name%3Dwatched`, 3, async () => {
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
    server,
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
  const created = Promise.withResolvers<number>();
  try {
    const event = await new Promise<Json>((resolve, reject) => {
      socket.on('message', (data: Buffer) => resolve(JSON.parse(data.toString('utf8'))));
      socket.on('error', reject);
      socket.on('open', () => {
        void server.send(configMaps, { method: 'POST', body: configMap('socketed') }).then(({ code }) => created.resolve(code), reject);
      });
    });
    assert.equal(event.type, 'ADDED');
    assert.equal(event.object.metadata.name, 'socketed');
    assert.equal(await created.promise, 201);
  } finally {
    socket.close();
  }
});
