/** Conformance behaviours of kubectl, each by its name in the catalogue, with stock kubectl v1.35 on real containers of the built-in image. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as streamText } from 'node:stream/consumers';
import { after, before, beforeEach, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { start, stockTools } from '../support/stock-tools.ts';
import { until } from './official-client.ts';

const image = 'k8ts.local/hello:1';

let cluster: ClusterUnderTest;
let namespace: string;
let count = 0;

before(async () => {
  cluster = await startClusterUnderTest();
});
after(() => cluster.close());
beforeEach(async () => {
  namespace = `kubectl-${count++}`;
  await cluster.kubectl(['create', 'namespace', namespace]);
});

/** Stock kubectl in the test's namespace. */
function kubectl(args: string | readonly string[], input?: object): Promise<string> {
  const words = typeof args === 'string' ? args.split(' ') : args;
  return cluster.kubectl(['--namespace', namespace, ...words], { timeoutMs: 120_000, ...(input && { input: JSON.stringify(input) }) });
}

const inContainer = (name: string, script: string, ports: readonly object[] = []) => ({
  terminationGracePeriodSeconds: 0,
  containers: [{ name, image, command: ['node', '-e', script], ports }],
});

function controller(name: string, labels: Record<string, string>, replicas: number, spec: object): object {
  return {
    apiVersion: 'v1',
    kind: 'ReplicationController',
    metadata: { name, labels },
    spec: { replicas, selector: labels, template: { metadata: { labels }, spec } },
  };
}

function service(name: string, selector: Record<string, string>, port: number, targetPort: number): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector, ports: [{ port, targetPort }] } };
}

const idle = 'setInterval(() => undefined, 1000)';
const primaryLabels = { app: 'agnhost', role: 'primary' };
const primary = (replicas = 1): object =>
  controller('agnhost-primary', primaryLabels, replicas, inContainer('agnhost-primary', idle, [{ name: 'agnhost-server', containerPort: 6379 }]));

async function runningPods(selector: string, expected: number): Promise<readonly string[]> {
  return eventually(
    `${expected} pods of ${selector} run and no other is left`,
    async () => {
      const all = await kubectl(['get', 'pods', '-l', selector, '-o', 'name']);
      const running = await kubectl(['get', 'pods', '-l', selector, '--field-selector=status.phase=Running', '-o', 'name']);
      const names = all.trim().split('\n').filter(Boolean);
      return all === running && names.length === expected ? names : undefined;
    },
    60_000,
  );
}

/** `kubectl proxy` with these flags; answers what it says it listens on. */
async function proxied<T>(flags: readonly string[], use: (listening: string) => Promise<T>): Promise<T> {
  const child = start(stockTools().kubectl, ['proxy', ...flags], { env: cluster.env });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const listening = await new Promise<string>((resolve, reject) => {
      child.stdout?.setEncoding('utf8').once('data', resolve);
      child.once('exit', (code) => reject(new Error(`kubectl proxy ended with ${code}`)));
    });
    return await use(listening.trim());
  } finally {
    child.kill();
    await ended;
  }
}

function getJson(options: { readonly socketPath?: string; readonly port?: number }): Promise<{ readonly versions: readonly string[] }> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', path: '/api/', ...options }, (answer) => {
      streamText(answer).then((body) => resolve(JSON.parse(body)), reject);
    })
      .on('error', reject)
      .end();
  });
}

test('[sig-cli] Kubectl client Guestbook application should create and stop a working application [Conformance]', async () => {
  // The primary keeps the entries; replicas ask it for them; the frontend writes to the primary and reads from a replica.
  const scripts = {
    primary: `const entries = []; require('http').createServer((q, a) => { const u = new URL(q.url, 'http://x'); if (u.pathname === '/set') entries.push(u.searchParams.get('value')); a.end(JSON.stringify(entries)); }).listen(6379)`,
    replica: `require('http').createServer(async (q, a) => a.end(await (await fetch('http://agnhost-primary:6379/get')).text())).listen(6379)`,
    frontend: `require('http').createServer(async (q, a) => { const to = q.url.startsWith('/set') ? 'primary' : 'replica'; try { a.end(await (await fetch('http://agnhost-' + to + ':6379' + q.url)).text()); } catch (e) { a.writeHead(502).end(String(e)); } }).listen(80)`,
  };
  const tiers = [
    { name: 'agnhost-primary', replicas: 1, port: 6379, script: scripts.primary },
    { name: 'agnhost-replica', replicas: 2, port: 6379, script: scripts.replica },
    { name: 'frontend', replicas: 3, port: 80, script: scripts.frontend },
  ];
  const items = tiers.flatMap(({ name, replicas, port, script }) => {
    const labels = { app: 'guestbook', tier: name };
    const template = { metadata: { labels }, spec: inContainer(name, script, [{ containerPort: port }]) };
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: { replicas, selector: { matchLabels: labels }, template },
    };
    return [service(name, labels, port, port), deployment];
  });
  const guestbook = { apiVersion: 'v1', kind: 'List', items };
  await kubectl('create -f -', guestbook);
  for (const { name } of tiers) await kubectl(`rollout status deployment/${name} --timeout=90s`);
  const ask = (path: string): Promise<string> =>
    eventually('the frontend answers', () => kubectl(['get', '--raw', `/api/v1/namespaces/${namespace}/services/frontend:80/proxy${path}`]));
  await eventually('an empty guestbook', async () => ((await ask('/get')) === '[]' ? true : undefined));
  await ask('/set?value=TestEntry');
  assert.match(await ask('/get'), /TestEntry/);
  await kubectl('delete --grace-period=0 -f -', guestbook);
  await until('nothing is left', async () => (await kubectl('get deployments,services,pods -l app=guestbook -o name')) === '');
});

test('[sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info [Conformance]', async () => {
  // oxlint-disable-next-line no-control-regex -- kubectl colours what it says
  const printed = (await kubectl('cluster-info')).replaceAll(/\u001b\[[0-9;]*m/g, '');
  assert.match(printed, new RegExp(`^Kubernetes control plane is running at https://127\\.0\\.0\\.1:${cluster.port}$`, 'm'));
});

test('[sig-cli] Kubectl client Kubectl describe should check if kubectl describe prints relevant information for rc and pods [Conformance]', async () => {
  await kubectl('create -f -', primary());
  await kubectl('create -f -', service('agnhost-primary', primaryLabels, 6379, 6379));
  const [pod = ''] = await runningPods('app=agnhost', 1);
  const describes = async (what: string, ...patterns: readonly RegExp[]): Promise<void> => {
    const printed = await kubectl(`describe ${what}`);
    for (const pattern of patterns) assert.match(printed, pattern, printed);
  };
  await describes(
    pod,
    /^Name:\s+agnhost-primary-/m,
    new RegExp(`^Namespace:\\s+${namespace}$`, 'm'),
    /^Labels:\s+app=agnhost$/m,
    /^\s+role=primary$/m,
    /^Annotations:/m,
    /^Node:\s+\S/m,
    /^Status:\s+Running$/m,
    /^IP:\s+\d/m,
    /^Controlled By:\s+ReplicationController\/agnhost-primary$/m,
    new RegExp(`Image:\\s+${image}`),
    /State:\s+Running/,
    /QoS Class:\s+BestEffort/,
  );
  await describes(
    'rc agnhost-primary',
    /^Name:\s+agnhost-primary$/m,
    new RegExp(`^Namespace:\\s+${namespace}$`, 'm'),
    /^Selector:\s+app=agnhost,role=primary$/m,
    /^Labels:\s+app=agnhost$/m,
    /^Replicas:\s+1 current \/ 1 desired$/m,
    /^Pods Status:\s+1 Running \/ 0 Waiting \/ 0 Succeeded \/ 0 Failed$/m,
    /^Pod Template:$/m,
    new RegExp(`Image:\\s+${image}`),
    /^Events:$/m,
  );
  await describes(
    'service agnhost-primary',
    /^Name:\s+agnhost-primary$/m,
    /^Selector:\s+app=agnhost,role=primary$/m,
    /^Type:\s+ClusterIP$/m,
    /^IP:\s+\d/m,
    /^Port:\s+<unset>\s+6379\/TCP$/m,
    /^Endpoints:\s+\d.*:6379$/m,
    /^Session Affinity:\s+None$/m,
  );
  const node = await kubectl('get nodes -o name');
  await describes(
    node.trim(),
    /^Name:\s+\S/m,
    /^Labels:/m,
    /^Annotations:/m,
    /^CreationTimestamp:/m,
    /^Conditions:$/m,
    /MemoryPressure.*DiskPressure.*PIDPressure.*Ready/s,
    /^Addresses:$/m,
    /^Capacity:$/m,
    /^Allocatable:$/m,
    /Kubelet Version:/,
    /agnhost-primary/,
  );
  await describes(
    `namespace ${namespace}`,
    new RegExp(`^Name:\\s+${namespace}$`, 'm'),
    /^Labels:/m,
    /^Annotations:/m,
    /^Status:\s+Active$/m,
    /^No resource quota/m,
    /^No LimitRange resource/m,
  );
});

test('[sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments [Conformance]', async () => {
  const deployment = (which: string): object => {
    const labels = { app: 'httpd' };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'httpd', image: which }] } };
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'httpd-deployment' },
      spec: { selector: { matchLabels: labels }, template },
    };
  };
  await kubectl('create -f -', deployment('registry.example/httpd:2.4'));
  const { code, stdout } = await cluster.tryKubectl(['-n', namespace, 'diff', '-f', '-'], {
    input: JSON.stringify(deployment('registry.example/busybox:1')),
  });
  assert.equal(code, 1, 'there is a difference');
  assert.match(stdout, /^-\s+- image: registry\.example\/httpd:2\.4$/m);
  assert.match(stdout, /^\+\s+- image: registry\.example\/busybox:1$/m);
});

test('[sig-cli] Kubectl client Kubectl expose should create services for rc [Conformance]', async () => {
  await kubectl('create -f -', primary());
  const [pod = ''] = await runningPods('app=agnhost', 1);
  const address = await kubectl(`get ${pod} -o jsonpath={.status.podIP}`);
  const exposed = async (name: string, port: number): Promise<void> => {
    const ports = await kubectl(`get service ${name} -o jsonpath={.spec.ports[*].port},{.spec.ports[*].targetPort}`);
    assert.equal(ports, `${port},6379`);
    await until(
      'the endpoint is there',
      async () =>
        (await kubectl(`get endpoints ${name} -o jsonpath={.subsets[*].addresses[*].ip}:{.subsets[*].ports[*].port}`)) === `${address}:6379`,
    );
  };
  await kubectl('expose rc agnhost-primary --name=rm2 --port=1234 --target-port=6379');
  await exposed('rm2', 1234);
  await kubectl('expose service rm2 --name=rm3 --port=2345 --target-port=6379');
  await exposed('rm3', 2345);
});

const pause = (): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'pause', labels: { name: 'pause' } },
  spec: inContainer('pause', idle),
});

test('[sig-cli] Kubectl client Kubectl label should update the label on a resource [Conformance]', async () => {
  await kubectl('create -f -', pause());
  await kubectl('wait --for=condition=Ready pod/pause --timeout=60s');
  await kubectl('label pods pause testing-label=testing-label-value');
  assert.match(await kubectl('get pod pause -L testing-label'), /testing-label-value/);
  assert.equal(await kubectl('get pod -l testing-label=testing-label-value -o name'), 'pod/pause\n');
  await kubectl('label pods pause testing-label-');
  assert.doesNotMatch(await kubectl('get pod pause -L testing-label'), /testing-label-value/);
  assert.equal(await kubectl('get pod -l testing-label -o name'), '');
});

test('[sig-cli] Kubectl client Kubectl logs should be able to retrieve and filter logs [Conformance]', async () => {
  const script = `for (let i = 0; i < 20; i++) console.log('I0101 line', i, 'GET /api/v1/namespaces/default/pods'); ${idle}`;
  await kubectl('create -f -', { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'logs-generator' }, spec: inContainer('logs-generator', script) });
  await until('all lines are there', async () => (await kubectl('logs logs-generator')).includes('line 19 '));
  assert.match(await kubectl('logs logs-generator logs-generator'), /GET \/api\/v1\/namespaces/);
  assert.equal(await kubectl('logs logs-generator --tail=1'), 'I0101 line 19 GET /api/v1/namespaces/default/pods\n');
  assert.equal(await kubectl('logs logs-generator --limit-bytes=1'), 'I');
  const [stamp = '', ...rest] = (await kubectl('logs logs-generator --tail=1 --timestamps')).split(' ');
  assert.match(stamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)$/);
  assert.equal(rest.join(' '), 'I0101 line 19 GET /api/v1/namespaces/default/pods\n');
  await until('they are older than a second', async () => (await kubectl('logs logs-generator --since=1s')) === '');
  assert.equal((await kubectl('logs logs-generator --since=24h')).trim().split('\n').length, 20);
});

test('[sig-cli] Kubectl client Kubectl patch should add annotations for pods in rc [Conformance]', async () => {
  await kubectl('create -f -', primary(2));
  for (const pod of await runningPods('app=agnhost', 2)) {
    await kubectl(['patch', pod, '-p', '{"metadata":{"annotations":{"x":"y"}}}']);
    assert.equal(await kubectl(`get ${pod} -o jsonpath={.metadata.annotations.x}`), 'y');
  }
});

test('[sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods [Conformance]', async () => {
  await kubectl(['run', 'e2e-test-httpd-pod', `--image=${image}`, '--labels=run=e2e-test-httpd-pod']);
  const patch = { spec: { containers: [{ name: 'e2e-test-httpd-pod', image: 'k8ts.local/hello:2' }] } };
  const asked = await kubectl([
    'patch',
    'pod',
    'e2e-test-httpd-pod',
    '-p',
    JSON.stringify(patch),
    '--dry-run=server',
    '-o',
    'jsonpath={.spec.containers[0].image}',
  ]);
  assert.equal(asked, 'k8ts.local/hello:2');
  assert.equal(await kubectl('get pod e2e-test-httpd-pod -o jsonpath={.spec.containers[0].image}'), image);
});

test('[sig-cli] Kubectl client Kubectl version should check is all data is printed [Conformance]', async () => {
  const printed = JSON.parse(await kubectl('version -o json')) as Record<string, Record<string, string>>;
  for (const side of ['clientVersion', 'serverVersion'])
    for (const field of ['major', 'minor', 'gitVersion', 'gitTreeState', 'buildDate', 'goVersion', 'compiler', 'platform'])
      assert.match(printed[side]?.[field] ?? '', /\S/, `${side}.${field}`);
  // This server is no build of one commit; it says so with an empty one.
  assert.equal(typeof printed['serverVersion']?.['gitCommit'], 'string');
  assert.equal(printed['serverVersion']?.['minor'], '36');
});

test('[sig-cli] Kubectl client Proxy server should support --unix-socket=/path [Conformance]', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'k8ts-proxy-'));
  try {
    const socketPath = join(folder, 'test');
    const answer = await proxied([`--unix-socket=${socketPath}`], async () => {
      assert(existsSync(socketPath));
      return getJson({ socketPath });
    });
    assert.deepEqual(answer.versions, ['v1']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('[sig-cli] Kubectl client Proxy server should support proxy with --port 0 [Conformance]', async () => {
  const answer = await proxied(['--port=0', '--disable-filter'], (listening) => getJson({ port: Number(/:(\d+)$/.exec(listening)?.[1]) }));
  assert.deepEqual(answer.versions, ['v1']);
});

const nautilus = { name: 'update-demo', version: 'nautilus' };
const updateDemo = (replicas: number): object =>
  controller('update-demo-nautilus', nautilus, replicas, inContainer('update-demo', idle, [{ containerPort: 80 }]));

test('[sig-cli] Kubectl client Update Demo should create and stop a replication controller [Conformance]', async () => {
  await kubectl('create -f -', updateDemo(2));
  await runningPods('name=update-demo', 2);
  await kubectl('delete --grace-period=0 --force rc update-demo-nautilus');
  await runningPods('name=update-demo', 0);
  assert.equal(await kubectl('get rc,svc -l name=update-demo -o name'), '');
});

test('[sig-cli] Kubectl client Update Demo should scale a replication controller [Conformance]', async () => {
  await kubectl('create -f -', updateDemo(2));
  await runningPods('name=update-demo', 2);
  for (const replicas of [1, 2]) {
    await kubectl(`scale rc update-demo-nautilus --replicas=${replicas} --timeout=2m`);
    await runningPods('name=update-demo', replicas);
  }
});
