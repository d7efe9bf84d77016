/** The usual cluster with its node on the host, and another node added in a namespace: their pods reach each other through VXLAN, and nothing of it is left. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from './support/cluster-under-test.ts';
import { hostRemains } from './support/host-remains.ts';
import { killEverything } from './support/kill-everything.ts';
import { run } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest('--pod-network', 'vxlan');
});
after(() => cluster.close());

async function node(...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await cluster.k8ts(['node', ...args, '--data-dir', cluster.dataDir], { timeoutMs: 90_000 });
  return { code, output: stdout + stderr };
}

const clusterId = (): string => (JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8')) as { id: string }).id;

test('alone, the node on the host has no tunnel', async () => {
  const { stdout } = await run('ip', ['-brief', 'link']);
  assert.doesNotMatch(stdout, new RegExp(`k8ts[vl]${clusterId()}`));
});

test('a node is added; pods on both reach each other', async () => {
  const added = await node('add', 'second');
  assert.equal(added.code, 0, added.output);
  const names = (await cluster.kubectl('get nodes -o jsonpath={.items[*].metadata.name}')).split(' ');
  assert.equal(names.length, 2);
  for (const name of names) {
    const overrides = JSON.stringify({ spec: { nodeName: name } });
    await cluster.kubectl(['run', `on-${name}`, '--image=k8ts.local/hello:1', `--overrides=${overrides}`]);
  }
  await cluster.kubectl('wait pod --all --for=condition=Ready --timeout=60s', { timeoutMs: 70_000 });
  for (const from of names) {
    for (const to of names) {
      const address = await cluster.kubectl(['get', 'pod', `on-${to}`, '-o', 'jsonpath={.status.podIP}']);
      const script = `fetch('http://${address}:8080/').then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
      assert.equal(await cluster.kubectl(['exec', `on-${from}`, '--', 'node', '-e', script]), `hello from on-${to}, version 1\n`);
    }
  }
  const { stdout: entries } = await run('bridge', ['fdb', 'show', 'dev', `k8tsv${clusterId()}`]);
  assert.match(entries, /dst 192\.168\.\d+\.\d+ self permanent/);
});

test('what does not go', async () => {
  const cases: readonly [readonly string[], RegExp][] = [
    [['add', 'second'], /there is a node second already/],
    [['add', 'Second'], /no name for a node/],
    [['add', 'a'.repeat(64)], /no name for a node/],
    [['heal', 'third'], /there is no node third on this host, only second/],
  ];
  for (const [args, message] of cases) {
    const { code, output } = await node(...args);
    assert.match(output, message);
    assert.equal(code, 1);
  }
  const more = await cluster.k8ts(['up', '--nodes', '3', '--data-dir', cluster.dataDir]);
  assert.match(more.stderr, /began with its node on the host: add others with k8ts node add/);
  const other = await cluster.k8ts(['up', '--pod-network', 'auto', '--data-dir', cluster.dataDir]);
  assert.match(other.stderr, /is up with --pod-network vxlan/);
});

test('a stopped node cannot be cut off; deleted, it leaves no entry; killed at one blow and taken down, the cluster leaves nothing', async () => {
  assert.equal((await node('stop', 'second')).code, 0);
  assert.match((await node('partition', 'second')).output, /does not run: start it with k8ts node start second/);
  assert.equal((await node('start', 'second')).code, 0);
  assert.equal((await node('delete', 'second')).code, 0);
  const id = clusterId();
  killEverything(cluster);
  const { code } = await cluster.k8ts(['down', '--purge', '--data-dir', cluster.dataDir], { timeoutMs: 60_000 });
  assert.equal(code, 0);
  assert.deepEqual(await hostRemains(id, cluster.dataDir), []);
});
