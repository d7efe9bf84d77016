/** Two clusters of real containers on one machine, told apart by data directory and port: neither disturbs the other. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { hostRemains } from './support/host-remains.ts';
import { run } from './support/stock-tools.ts';

let clusters: readonly ClusterUnderTest[] = [];
/** Those that `after` still has to take down. */
const open = new Set<ClusterUnderTest>();

before(async () => {
  const start = async (): Promise<ClusterUnderTest> => {
    const cluster = await startClusterUnderTest();
    open.add(cluster);
    return cluster;
  };
  clusters = await Promise.all([start(), start()]);
});
after(async () => {
  await Promise.all([...open].map((cluster) => cluster.close()));
});

/** What the NodePort Service answers, asked as from another machine. */
async function ask(cluster: ClusterUnderTest): Promise<string> {
  const address = await cluster.kubectl('get nodes -o jsonpath={.items[0].status.addresses[0].address}');
  const port = await cluster.kubectl('get service web -o jsonpath={.spec.ports[0].nodePort}');
  return eventually('the Service answers', async () => {
    const { code, stdout } = await run('curl', ['-s', '--max-time', '2', `http://${address}:${port}/`]);
    return code === 0 ? stdout : undefined;
  });
}

/** What a pod reaches under a Service's name: the cluster's own DNS, its own Service, its own pods. */
function askByName(cluster: ClusterUnderTest): Promise<string> {
  const script = `fetch('http://web.default.svc.cluster.local/').then((answer) => answer.text()).then(console.log)`;
  return eventually('the Service answers by name', async () => {
    const { code, stdout } = await cluster.tryKubectl(['exec', 'deploy/web', '--', 'node', '-e', script]);
    return code === 0 && stdout !== '' ? stdout : undefined;
  });
}

async function deploy(cluster: ClusterUnderTest, version: number): Promise<void> {
  await cluster.kubectl(`create deployment web --image=k8ts.local/hello:${version}`);
  await cluster.kubectl('expose deployment web --port=80 --target-port=8080 --type=NodePort');
  await cluster.kubectl('rollout status deployment/web --timeout=60s', { timeoutMs: 70_000 });
}

const podNames = async (cluster: ClusterUnderTest): Promise<string> => cluster.kubectl('get pods -l app=web -o jsonpath={.items[*].metadata.name}');

test('each serves its own pods, by node port and by name', async () => {
  await Promise.all(clusters.map((cluster, index) => deploy(cluster, index + 1)));
  for (const [index, cluster] of clusters.entries()) {
    const expected = `hello from ${await podNames(cluster)}, version ${index + 1}\n`;
    assert.equal(await ask(cluster), expected);
    assert.equal((await askByName(cluster)).trim(), expected.trim());
  }
});

test('taking one down leaves the other at work and nothing of the first on the host', async () => {
  const [first, second] = clusters;
  assert.ok(first && second);
  const { id } = JSON.parse(readFileSync(join(first.dataDir, 'cluster.json'), 'utf8')) as { id: string };
  const before = await containerOf(second);
  open.delete(first);
  await first.close();
  assert.deepEqual(await hostRemains(id, first.dataDir), []);
  const expected = `hello from ${await podNames(second)}, version 2\n`;
  assert.equal(await ask(second), expected);
  assert.equal((await askByName(second)).trim(), expected.trim());
  assert.equal(await containerOf(second), before);
  // What is new starts as well: runtime, network and address ranges are whole.
  await second.kubectl('scale deployment web --replicas=2');
  await second.kubectl('rollout status deployment/web --timeout=60s', { timeoutMs: 70_000 });
});

const containerOf = (cluster: ClusterUnderTest): Promise<string> =>
  cluster.kubectl(['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.containerStatuses[0].containerID} {.items[*].status.podIP}']);
