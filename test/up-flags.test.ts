/** The flags of `k8ts up`, each tried on a cluster of its own. Simulated nodes: what is tried here is not the containers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from './support/cluster-under-test.ts';
import { launcher, run, start } from './support/stock-tools.ts';

async function cluster(t: TestContext, ...args: string[]): Promise<ClusterUnderTest> {
  const started = await startClusterUnderTest('--runtime', 'simulated', ...args);
  t.after(() => started.close());
  return started;
}

const upArgs = ({ dataDir, port }: ClusterUnderTest): string[] => ['up', '--data-dir', dataDir, '--port', String(port)];

test('--store memory forgets when the control plane ends', async (t) => {
  const { kubectl, tryKubectl, k8ts, up, dataDir } = await cluster(t, '--store', 'memory');
  await kubectl('create configmap kept --from-literal=a=b');
  assert.equal((await k8ts(['down', '--data-dir', dataDir])).code, 0);
  await up();
  assert.match((await tryKubectl('get configmap kept')).stderr, /NotFound/);
});

test('--bind-address listens there and nowhere else', async (t) => {
  const { port, kubectl } = await cluster(t, '--bind-address', '127.0.0.1');
  await kubectl('get nodes');
  const other = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (other === undefined) return;
  const { code } = await run('curl', ['-sk', '--max-time', '2', `https://${other}:${port}/version`]);
  assert.equal(code, 7, 'connection refused');
});

test('--control-plane-only has no node', async (t) => {
  const { output, kubectl, k8ts, dataDir } = await cluster(t, '--control-plane-only');
  assert.match(output, /^Ready in/m);
  assert.equal(await kubectl('get nodes -o name'), '');
  const status = await k8ts(['status', '--data-dir', dataDir]);
  assert.equal(status.code, 0, status.stdout);
  assert.doesNotMatch(status.stdout, /node-agent/);
});

test('--token-auth-file lets in who is in it, with the groups it says', async (t) => {
  const { k8ts, up, env, port, dataDir, tryKubectl } = await cluster(t);
  const tokens = join(env['HOME'] ?? '', 'tokens.csv');
  writeFileSync(tokens, 'secret-1,jane,7,"readers,writers"\nsecret-2,root,8,system:masters\n');
  assert.equal((await k8ts(['down', '--data-dir', dataDir])).code, 0);
  await up('--token-auth-file', tokens);
  const as = (token: string, ...args: string[]): ReturnType<typeof tryKubectl> =>
    tryKubectl([`--server=https://127.0.0.1:${port}`, '--insecure-skip-tls-verify', `--token=${token}`, '--kubeconfig=/dev/null', ...args]);
  const jane = await as('secret-1', 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username} {.status.userInfo.groups}');
  assert.match(jane.stdout, /^jane \["readers","writers","system:authenticated"\]/, jane.stderr);
  assert.match((await as('secret-1', 'get', 'pods')).stderr, /Forbidden/);
  assert.equal((await as('secret-2', 'get', 'pods')).code, 0);
  assert.match((await as('wrong', 'get', 'pods')).stderr, /logged in|Unauthorized/);
});

test('--foreground stays until Ctrl-C, and takes the cluster down with it', async (t) => {
  const parked = await cluster(t, '--control-plane-only');
  assert.equal((await parked.k8ts(['down', '--data-dir', parked.dataDir])).code, 0);
  const child = start(launcher, [...upArgs(parked), '--foreground'], { env: parked.env });
  child.stdout?.setEncoding('utf8');
  let output = '';
  for await (const text of child.stdout ?? []) {
    output += String(text);
    if (output.includes('Running until Ctrl-C') && !child.killed) child.kill('SIGINT');
  }
  if (child.exitCode === null) await once(child, 'exit');
  assert.equal(child.exitCode, 0, output);
  assert.match(output, /is down; its data is kept/);
  assert.equal((await parked.k8ts(['status', '--data-dir', parked.dataDir])).code, 1);
});

test('a cluster that is up keeps its ways, and says so', async (t) => {
  const { k8ts, dataDir, port, kubectl } = await cluster(t, '--control-plane-only');
  const cases: readonly (readonly [args: string[], words: RegExp])[] = [
    [['--port', String(port + 2)], new RegExp(`is up with --port ${port}: take it down first`)],
    [['--store', 'memory'], /is up with --store lmdb/],
    [['--token-auth-file', launcher], /is up without --token-auth-file/],
    [['--runtime', 'containerd'], /runs its pods with simulated/],
    [['--nodes', '3'], /began with its node on the host: add others with k8ts node add NAME/],
  ];
  for (const [args, words] of cases) {
    const { code, stderr } = await k8ts(['up', '--data-dir', dataDir, ...args]);
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /^\s+at /m);
    assert.equal(code, 1);
  }
  await kubectl('get namespaces');
});

test('what cannot be started says why, and leaves nothing running', async (t) => {
  const { port, k8ts, env } = await cluster(t, '--control-plane-only');
  const dataDir = join(env['HOME'] ?? '', 'other');
  const cases: readonly (readonly [args: string[], words: RegExp])[] = [
    [['--port', String(port)], /port \d+ is in use by another program: stop that, or choose another with --port/],
    [['--port', String(port + 2), '--bind-address', '203.0.113.9'], /this machine has no address 203\.0\.113\.9/],
    [['--port', String(port + 2), '--bind-address', '127.0.0.1', '--token-auth-file', join(dataDir, 'nowhere')], /token file .*nowhere is not there/],
    [['--port', String(port + 2), '--store', 'etcd=http://127.0.0.1:1'], /not there yet/],
  ];
  for (const [args, words] of cases) {
    const { code, stderr } = await k8ts(['up', '--data-dir', dataDir, '--runtime', 'simulated', ...args]);
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /^\s+at /m);
    assert.equal(code, 1);
    const status = await k8ts(['status', '--data-dir', dataDir]);
    assert.doesNotMatch(status.stdout, /running \(pid/);
  }
});

test('--cluster-cidr with a range of each family makes the cluster dual-stack, for life', async (t) => {
  const { kubectl, k8ts, dataDir } = await cluster(t, '--cluster-cidr', '10.50.0.0/16,fd50::/56');
  assert.equal(await kubectl('get nodes -o jsonpath={.items[0].spec.podCIDRs}'), '["10.50.0.0/24","fd50::/64"]');
  await kubectl('run pod --image=pause');
  await kubectl('wait pod pod --for=condition=Ready --timeout=30s');
  assert.match(await kubectl('get pod pod -o jsonpath={.status.podIPs[*].ip}'), /^10\.50\.0\.\d+ fd50::\d+$/);
  await kubectl(['create', '-f', '-'], {
    input: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'both' },
      spec: { ipFamilyPolicy: 'RequireDualStack', ports: [{ port: 80 }] },
    }),
  });
  assert.match(await kubectl('get service both -o jsonpath={.spec.clusterIPs[*]}'), /^10\.[\d.]+ fd[0-9a-f:]+$/);
  assert.match(
    (await k8ts(['up', '--data-dir', dataDir, '--cluster-cidr', '10.51.0.0/16'])).stderr,
    /was made with --cluster-cidr 10\.50\.0\.0\/16,fd50::\/56/,
  );
});

test('ranges and addresses that cannot work are refused before anything starts', async () => {
  const cases: readonly [readonly string[], RegExp][] = [
    [['--cluster-cidr', 'fd50::/56'], /an IPv4 range comes first/],
    [['--service-cluster-ip-range', '10.0.0.0/30'], /has 12 to 28 bits, not 30/],
    [['--cluster-cidr', '10.0.0.0/8', '--service-cluster-ip-range', '10.2.0.0/16'], /overlap/],
    [['--advertise-address', 'here'], /--advertise-address here: give an IPv4 address/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await run(launcher, ['up', '--runtime', 'simulated', '--data-dir', '/nonexistent/k8ts', ...args]);
    assert.match(stderr, message);
    assert.equal(code, 1);
  }
});
