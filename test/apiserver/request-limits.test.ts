/** How much a request may hold, and keys that stand in it twice. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { configMap, startTestServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
});

after(() => server.close());

const configMaps = '/api/v1/namespaces/default/configmaps';

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
