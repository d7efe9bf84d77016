/** What survives: containers go on and nothing is lost when k8ts is killed; nothing is left when it is taken down. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { hostRemains } from './support/host-remains.ts';

let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest();
});
after(() => cluster.close());

function killDaemons(): void {
  for (const name of ['control-plane', 'node-agent']) {
    const { pid } = JSON.parse(readFileSync(join(cluster.dataDir, 'run', `${name}.json`), 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
  }
}

const restartCounts = (): Promise<string> =>
  cluster.kubectl(['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.containerStatuses[0].restartCount}']);
const containerIds = (): Promise<string> =>
  cluster.kubectl(['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.containerStatuses[0].containerID}']);

test('up again finds the cluster up', async () => {
  assert.match(await cluster.up(), /up already/);
});

test('after kill -9 of everything, containers kept running, objects are there and rollouts go on', async () => {
  await cluster.kubectl('create deployment web --image=k8ts.local/hello:1 --replicas=2');
  await cluster.kubectl('rollout status deployment/web --timeout=60s', { timeoutMs: 70_000 });
  await cluster.kubectl('create configmap kept --from-literal=answer=42');
  const before = await containerIds();
  await cluster.kubectl('set image deployment/web hello=k8ts.local/hello:2');
  await cluster.kubectl('rollout pause deployment/web');
  killDaemons();
  await cluster.up();
  assert.equal(await cluster.kubectl('get configmap kept -o jsonpath={.data.answer}'), '42');
  await cluster.kubectl('rollout resume deployment/web');
  await cluster.kubectl('rollout status deployment/web --timeout=60s', { timeoutMs: 70_000 });
  assert.match(await cluster.kubectl('get deployment web -o jsonpath={.spec.template.spec.containers[0].image}'), /hello:2/);
  assert.equal(before.split(' ').length, 2);
});

test('a restart touches no container', async () => {
  const before = await eventually('only the new pods are left', async () => {
    const ids = await containerIds();
    return ids.split(' ').length === 2 ? ids : undefined;
  });
  const restarts = await restartCounts();
  killDaemons();
  await cluster.up();
  await eventually('the pods are Ready', async () => {
    const ready = await cluster.kubectl(['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}']);
    return ready === 'True True' ? true : undefined;
  });
  assert.equal(await containerIds(), before);
  assert.equal(await restartCounts(), restarts);
});

test('down stops the containers and leaves nothing on the host, and up starts them again', async () => {
  const { id } = JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8')) as { id: string };
  const before = await containerIds();
  const outcome = await cluster.k8ts(['down', '--data-dir', cluster.dataDir], { timeoutMs: 60_000 });
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(await hostRemains(id, cluster.dataDir), []);
  await cluster.up();
  await eventually('the pods run again, in new containers', async () => {
    const ready = await cluster.kubectl(['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}']);
    const ids = await containerIds();
    return ready === 'True True' && before.split(' ').every((id) => !ids.includes(id)) ? true : undefined;
  });
  assert.match(await cluster.kubectl(['logs', 'deployment/web']), /listens/);
});
