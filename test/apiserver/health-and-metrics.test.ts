/** What the server tells of itself: health, version, paths and metrics. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { configMap, startTestServer, type TestServer } from './server.ts';
import { watchLines } from './watch-lines.ts';

let server: TestServer;

before(async () => {
  server = await startTestServer();
});

after(() => server.close());

const configMaps = '/api/v1/namespaces/default/configmaps';

test('health, version, metrics and the list of paths', async () => {
  for (const path of ['/healthz', '/livez', '/readyz', '/readyz/ping']) assert.equal((await server.send(path)).text, 'ok', path);
  const verbose = await server.send('/readyz?verbose&exclude=ping');
  assert.match(verbose.text, /^\[\+\]ping excluded: ok\n.*readyz check passed\n$/s);
  const version = await server.send('/version', { identity: undefined });
  assert.equal(version.json.major, '1');
  assert.match(version.json.gitVersion, /^v1\.36\.\d+\+k8ts/);
  await server.send(configMaps);
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

test("metrics are valid, under upstream's names, and count", async () => {
  await server.send(`${configMaps}?dryRun=All`, { method: 'POST', body: configMap('dry') });
  await server.send(configMaps, { method: 'POST', body: configMap('counted') });
  await watchLines(server, `${configMaps}?watch=true`, 1, () => Promise.resolve());
  await server.send(configMaps);
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
