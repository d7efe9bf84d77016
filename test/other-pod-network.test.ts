/**
 * A pod network of somebody else's in place of ours, on addresses that are chosen for it: two nodes wait for it, and then their pods have its addresses, reach
 * each other by its routes and Services by our proxy, and nothing of our network is there.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { ask, type EchoPod, hostAndPort, startEchoPods } from './support/echo-pods.ts';
import { run } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;
let id = '';
let pods: EchoPod[];
before(async () => {
  cluster = await startClusterUnderTest('--nodes', '2', '--pod-network', 'none', '--cluster-cidr', '10.9.0.0/16');
  id = (JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8')) as { id: string }).id;
});
after(() => cluster?.close());

const names = ['node-1', 'node-2'];
const configDir = (name: string): string => join(cluster.dataDir, 'nodes', name, 'cni');

async function inNode(name: string, ...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await run('nsenter', [`--net=/run/netns/k8ts-${id}-${name}`, '--', ...command]);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function ofNode(name: string, path: string): Promise<string> {
  return cluster.kubectl(['get', 'node', name, '-o', `jsonpath=${path}`]);
}

/** What the plugin's own program on each node does: configuration for the node's range, and routes to the others'. */
async function installTheirs(): Promise<void> {
  for (const name of names) {
    mkdirSync(configDir(name), { recursive: true });
    const config = {
      cniVersion: '0.4.0',
      name: 'theirs',
      plugins: [
        {
          type: 'bridge',
          bridge: 'theirs0',
          isGateway: true,
          ipam: {
            type: 'host-local',
            ranges: [[{ subnet: await ofNode(name, '{.spec.podCIDR}') }]],
            routes: [{ dst: '0.0.0.0/0' }],
            dataDir: join(cluster.dataDir, 'nodes', name, 'theirs'),
          },
        },
      ],
    };
    writeFileSync(join(configDir(name), '05-theirs.conflist'), JSON.stringify(config));
    for (const other of names.filter((candidate) => candidate !== name)) {
      const gateway = await ofNode(other, '{.status.addresses[?(@.type=="InternalIP")].address}');
      await inNode(name, 'ip', 'route', 'add', await ofNode(other, '{.spec.podCIDR}'), 'via', gateway);
    }
  }
}

test('nodes come up without a network, say so, and write no configuration', async () => {
  for (const name of names) {
    assert.match(await ofNode(name, '{.status.conditions[?(@.type=="Ready")].message}'), /container runtime network not ready/);
    assert.equal(existsSync(join(configDir(name), '10-k8ts.conflist')), false);
  }
});

test('with a plugin of somebody else’s they are Ready, and pods get its addresses and reach each other by its routes', async () => {
  await installTheirs();
  await cluster.kubectl('wait node --all --for=condition=Ready --timeout=60s', { timeoutMs: 70_000 });
  pods = await startEchoPods(cluster, names);
  for (const { node, ips } of pods) {
    assert.equal(ips.length, 1);
    assert.equal(ips[0]?.replace(/\.\d+$/, '.0/24'), await ofNode(node, '{.spec.podCIDR}'));
  }
  for (const from of pods)
    for (const to of pods.filter((pod) => pod !== from))
      assert.deepEqual(await ask(cluster, from, hostAndPort(to.ips[0] ?? '')), { pod: to.name, from: from.ips[0] });
});

test('a Service leads to pods of both nodes by its name, and they see who asks', async () => {
  await cluster.kubectl('create service clusterip echo --tcp=80:8080');
  const [first, second] = pods;
  assert.ok(first && second);
  await eventually('the pod of the other node answers', async () => {
    const answer = await ask(cluster, first, 'echo');
    return answer?.pod === second.name ? (assert.equal(answer.from, first.ips[0]), true) : undefined;
  });
});

test('nothing of our own network is there', async () => {
  for (const name of names) {
    assert.doesNotMatch(await inNode(name, 'ip', '-brief', 'link'), new RegExp(`k8tsv?${id}`), 'bridge or tunnel');
    assert.doesNotMatch(await inNode(name, 'ip', 'route'), /proto 142/);
    assert.doesNotMatch(await inNode(name, 'nft', 'list', 'tables'), new RegExp(`k8ts-${id}-network`));
  }
});
