/** Two nodes on one link, with routes between them and no tunnel: pods of both reach each other over either family, in packets of the link's full size. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { ask, assertMtu, type EchoPod, hostAndPort, startEchoPods } from './support/echo-pods.ts';
import { run } from './support/stock-tools.ts';

const names = ['node-1', 'node-2'];
let cluster: ClusterUnderTest;
let id = '';
let pods: EchoPod[];

before(async () => {
  cluster = await startClusterUnderTest('--nodes', '2', '--dual-stack', '--pod-network', 'host-routes');
  id = (JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8')) as { id: string }).id;
  pods = await startEchoPods(cluster, names);
});
after(() => cluster?.close());

const inNode = (name: string, ...args: string[]): Promise<{ stdout: string }> => run('ip', ['-netns', `k8ts-${id}-${name}`, ...args]);

test('pods reach pods of the other node as themselves, over the link', async () => {
  for (const from of pods) {
    for (const to of pods.filter((pod) => pod !== from)) {
      for (const [index, ip] of to.ips.entries()) {
        assert.deepEqual(await ask(cluster, from, hostAndPort(ip)), { pod: to.name, from: from.ips[index] }, `${from.node} → ${ip}`);
        assert.match((await inNode(from.node, 'route', 'get', ip)).stdout, / via \S+ dev eth0 /);
      }
    }
  }
  for (const name of names) assert.doesNotMatch((await inNode(name, '-brief', 'link')).stdout, /k8tsv/, 'there is no tunnel');
});

test('packets have the link’s full size: 1500 bytes, and no more', async () => {
  await assertMtu(
    cluster,
    pods,
    1500,
    names.map((name) => `k8ts-${id}-${name}`),
  );
});

test('the way to a node goes with it, and comes with it', async () => {
  const [one, two] = pods;
  assert.ok(one && two);
  const waysTo = async (node: EchoPod): Promise<number> => {
    const lines = (await Promise.all([inNode(one.node, 'route'), inNode(one.node, '-6', 'route')])).flatMap(({ stdout }) => stdout.split('\n'));
    const prefixes = node.ips.map((ip) => ip.slice(0, ip.lastIndexOf(ip.includes(':') ? '::' : '.')));
    return lines.filter((line) => line.includes(' proto 142 ') && prefixes.some((prefix) => line.startsWith(prefix))).length;
  };
  assert.equal(await waysTo(two), 2);
  const { code, stderr } = await cluster.k8ts(['node', 'delete', two.node, '--data-dir', cluster.dataDir], { timeoutMs: 90_000 });
  assert.equal(code, 0, stderr);
  await eventually('no way to a node that is gone', async () => ((await waysTo(two)) === 0 ? true : undefined));
  for (const ip of two.ips) assert.doesNotMatch((await run('ip', ['route', 'get', ip])).stdout, / dev k8tsl/, 'nor has the host one');
});
