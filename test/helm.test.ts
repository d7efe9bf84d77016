/** helm v4, which applies on the server's side: install, upgrade, rollback, uninstall of a small chart. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';

const chart = join(import.meta.dirname, 'charts/web');
let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest();
});
after(() => cluster.close());

const image = (): Promise<string> => cluster.kubectl('get deployment shop -o jsonpath={.spec.template.spec.containers[0].image}');

test('helm installs, upgrades, rolls back and uninstalls', async () => {
  await cluster.helm(['install', 'shop', chart, '--wait', '--timeout', '60s'], { timeoutMs: 70_000 });
  assert.equal(await image(), 'k8ts.local/hello:1');
  assert.match(await cluster.helm('list'), /shop\s+default\s+1\s.*deployed/);

  await cluster.helm(['upgrade', 'shop', chart, '--set', 'version=2,replicas=2,greeting=hi', '--wait', '--timeout', '60s'], { timeoutMs: 70_000 });
  assert.equal(await image(), 'k8ts.local/hello:2');
  assert.equal(await cluster.kubectl('get deployment shop -o jsonpath={.status.readyReplicas}'), '2');
  assert.equal(await cluster.kubectl('get configmap shop -o jsonpath={.data.GREETING}'), 'hi');

  await cluster.helm(['rollback', 'shop', '1', '--wait', '--timeout', '60s'], { timeoutMs: 70_000 });
  assert.equal(await image(), 'k8ts.local/hello:1');
  assert.equal(await cluster.kubectl('get configmap shop -o jsonpath={.data.GREETING}'), 'hello');
  assert.equal((await cluster.helm(['history', 'shop', '-o', 'json'])).match(/"revision"/g)?.length, 3);

  await cluster.helm(['uninstall', 'shop', '--wait', '--timeout', '60s'], { timeoutMs: 70_000 });
  await eventually('nothing of the release is left', async () => {
    const left = await cluster.kubectl([
      'get',
      'deployments,replicasets,pods,services,configmaps',
      '-l',
      'app.kubernetes.io/instance=shop',
      '-o',
      'name',
    ]);
    return left === '' ? true : undefined;
  });
});
