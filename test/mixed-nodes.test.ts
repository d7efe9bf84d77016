/**
 * Nodes in namespaces of the host and a machine elsewhere in one cluster: another network namespace, behind a router, stands for the machine. Their pods reach
 * each other through the tunnel, whose end on this host is at a port of the host.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hostAddress } from '../src/cluster/config.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { ask, assertMtu, type EchoPod, hostAndPort, inPod, startEchoPods } from './support/echo-pods.ts';
import { hostRemains } from './support/host-remains.ts';
import { lastWill, type LastWill } from './support/last-will.ts';
import { launcher, type Outcome, run } from './support/stock-tools.ts';

const names = ['node-1', 'machine'];
let cluster: ClusterUnderTest;
let id = '';
let namespace = '';
let machineDir = '';
let will: LastWill | undefined;
let pods: EchoPod[];

before(async () => {
  cluster = await startClusterUnderTest('--nodes', '2', '--advertise-address', hostAddress());
  id = (JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8')) as { id: string }).id;
  namespace = `k8ts-test-${cluster.port}-machine`;
  machineDir = join(cluster.dataDir, 'machine');
  const device = `kt${cluster.port}-m`;
  const net = `10.${60 + (cluster.port % 64)}.9`;
  will = lastWill('ip netns delete "$1"; ip link delete "$2"', namespace, device);
  await ip('netns', 'add', namespace);
  await ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  await ip('address', 'add', `${net}.1/24`, 'dev', device);
  await ip('link', 'set', device, 'up');
  for (const line of ['link set lo up', `address add ${net}.2/24 dev eth0`, 'link set eth0 up', `route add default via ${net}.1`])
    await ip('-netns', namespace, ...line.split(' '));
  const { code, stdout, stderr } = await cluster.k8ts(['token', 'create', '--print-join-command', '--data-dir', cluster.dataDir]);
  assert.equal(code, 0, stderr);
  const joined = await onMachine(...stdout.trim().split(' ').slice(1), '--data-dir', machineDir, '--node-name', 'machine', '--node-ip', `${net}.2`);
  assert.equal(joined.code, 0, joined.stdout + joined.stderr);
  pods = await startEchoPods(cluster, names);
});

after(async () => {
  await onMachine('down', '--purge', '--data-dir', machineDir);
  await run('ip', ['netns', 'delete', namespace]);
  will?.withdraw();
  await cluster?.close();
});

async function ip(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run('ip', args);
  assert.equal(code, 0, `ip ${args.join(' ')}: ${stderr}`);
  return stdout;
}

function onMachine(...words: string[]): Promise<Outcome> {
  return run('nsenter', [`--net=/run/netns/${namespace}`, '--', launcher, ...words], { env: cluster.env, timeoutMs: 120_000 });
}

test('pods on the machine and on nodes of the host reach each other as themselves, through the tunnel', async () => {
  for (const from of pods) {
    for (const to of pods.filter((pod) => pod !== from)) {
      const answer = await eventually(`${from.name} reaches ${to.name}`, () => ask(cluster, from, hostAndPort(to.ips[0] ?? '')));
      assert.deepEqual(answer, { pod: to.name, from: from.ips[0] });
    }
  }
  const { stdout: entries } = await run('bridge', ['-netns', namespace, 'fdb', 'show']);
  assert.equal(entries.match(new RegExp(`dst ${hostAddress().replaceAll('.', '\\.')} port \\d+ self permanent`, 'g'))?.length, 2, entries);
});

test('packets of full size pass whole both ways', async () => {
  const namespaces = [`k8ts-${id}-node-1`, namespace];
  await assertMtu(cluster, pods, 1450, namespaces);
  await assertMtu(cluster, pods.toReversed(), 1450, namespaces);
});

test('the API server answers pods everywhere by its Service, and Services lead across', async () => {
  await cluster.kubectl('create service clusterip echo --tcp=80:8080');
  const version = `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; fetch('https://kubernetes.default/version', { signal: AbortSignal.timeout(5000) }).then((answer) => answer.json()).then(({ major }) => console.log(major))`;
  for (const pod of pods) {
    assert.equal(await inPod(cluster, pod, version), '1', pod.node);
    for (const other of pods)
      await eventually(`${other.name} by its Service`, async () => (await ask(cluster, pod, 'echo'))?.pod === other.name || undefined);
  }
});

test('taken down, machine and host keep nothing of it', async () => {
  const { settings } = JSON.parse(readFileSync(join(machineDir, 'node.json'), 'utf8')) as { settings: { id: string } };
  const left = await onMachine('down', '--purge', '--data-dir', machineDir);
  assert.equal(left.code, 0, left.stdout + left.stderr);
  assert.deepEqual(await hostRemains(settings.id, machineDir), []);
  const { code, stdout, stderr } = await cluster.k8ts(['down', '--purge', '--data-dir', cluster.dataDir], { timeoutMs: 90_000 });
  assert.equal(code, 0, stdout + stderr);
  assert.deepEqual(await hostRemains(id, cluster.dataDir), []);
});
