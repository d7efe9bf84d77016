/** A cluster whose time passes only when it is told to. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { Deployment, Lease, Node, Pod, startCluster, type VirtualCluster, type VirtualClusterOptions } from '../../src/index.ts';

const open: VirtualCluster[] = [];
afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.close();
});

async function start(options: Omit<VirtualClusterOptions, 'clock'> = {}): Promise<VirtualCluster> {
  const cluster = await startCluster({ clock: 'virtual', ...options });
  open.push(cluster);
  return cluster;
}

const crashing = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'crashing', annotations: { 'simulated.k8ts.local/run-time-ms': '100', 'simulated.k8ts.local/exit-code': '1' } },
  spec: { containers: [{ name: 'main', image: 'app:1' }] },
};

describe('on a virtual clock', () => {
  test('no time passes by itself', async () => {
    const cluster = await start({ startTime: new Date('2030-01-01T00:00:00Z') });
    const before = cluster.now();
    await cluster.apply({ ...crashing, metadata: { name: 'one' } });
    assert.deepEqual(cluster.now(), before);
    await cluster.advance('1h30m');
    assert.equal(cluster.now().getTime() - before.getTime(), 5_400_000);
    assert.equal((await cluster.client.resource(Pod).namespace('default').get('one')).status.startTime?.slice(0, 10), '2030-01-01');
  });

  test('a node that falls silent loses its pods in five minutes and forty seconds', async () => {
    const cluster = await start({ nodes: 2 });
    const on = async (node: string): Promise<number> =>
      (await cluster.client.resource(Pod).namespace('default').list()).items.filter(
        ({ spec, metadata }) => spec.nodeName === node && !metadata.deletionTimestamp,
      ).length;
    await cluster.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: 4,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'app:1' }] } },
      },
    });
    await cluster.settle();
    assert.equal(await on('node-1'), 2);
    cluster.stopNode('node-1');
    await cluster.advance('5m');
    assert.equal(await on('node-1'), 2);
    await cluster.advance('1m');
    assert.equal(await on('node-1'), 0);
    assert.equal(await on('node-2'), 4);
    assert.equal((await cluster.client.resource(Deployment).namespace('default').get('web')).status.availableReplicas, 4);
  });

  test('settle goes on until there is rest, and says so when there is none', async () => {
    const cluster = await start();
    await cluster.settle();
    const renewed = (await cluster.client.resource(Lease).namespace('kube-node-lease').get('node-1')).spec.renewTime;
    assert.ok(renewed !== undefined);
    await cluster.apply(crashing);
    await assert.rejects(
      cluster.settle({ quiet: '10m', timeout: '1h' }),
      /the cluster is not at rest: \/registry\/core\/pods\/default\/crashing was written last/,
    );
  });

  test('until lets time pass', async () => {
    const cluster = await start();
    await cluster.apply(crashing);
    const restarts = async (): Promise<number> =>
      (await cluster.client.resource(Pod).namespace('default').get('crashing')).status.containerStatuses?.[0]?.restartCount ?? 0;
    await cluster.until(async () => (await restarts()) >= 4, { timeout: '5m' });
    const before = cluster.now();
    await assert.rejects(
      cluster.until(() => false, { timeout: '1m', what: 'pigs fly' }),
      /after 60000 ms of virtual time still not: pigs fly/,
    );
    assert.ok(cluster.now().getTime() - before.getTime() <= 60_000);
  });

  test('a snapshot keeps time and chance: what follows it is the same each time', async () => {
    const cluster = await start({ seed: 9, nodes: 2 });
    await cluster.advance('10m');
    const snapshot = await cluster.snapshot();
    const whatFollows = async (from: VirtualCluster): Promise<string> => {
      await from.apply({ ...crashing, metadata: { ...crashing.metadata, name: 'next' } });
      await from.advance('3m');
      const pod = await from.client.resource(Pod).namespace('default').get('next');
      const nodes = await from.client.resource(Node).list();
      return JSON.stringify([pod, nodes.items, from.now()]);
    };
    await cluster.restore(snapshot);
    const first = await whatFollows(cluster);
    await cluster.restore(snapshot);
    assert.equal(await whatFollows(cluster), first);

    const later = await cluster.snapshot();
    const fork = await cluster.fork();
    open.push(fork);
    await cluster.restore(later);
    await fork.client.resource(Pod).namespace('default').delete('next');
    await cluster.client.resource(Pod).namespace('default').delete('next');
    await fork.advance('1m');
    await cluster.advance('1m');
    assert.equal(await whatFollows(fork), await whatFollows(cluster));
  });
});

describe('scripts of containers', () => {
  const annotated = (name: string, script: Record<string, string>): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations: Object.fromEntries(Object.entries(script).map(([key, value]) => [`simulated.k8ts.local/${key}`, value])) },
    spec: { containers: [{ name: 'main', image: 'app:1', readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1 } }] },
  });
  const statusOf = async (cluster: VirtualCluster, name: string) =>
    (await cluster.client.resource(Pod).namespace('default').get(name)).status.containerStatuses?.[0];

  test('delays, readiness and crashes come at their times', async () => {
    const cluster = await start();
    await cluster.apply([
      annotated('late', { 'start-delay-ms': '5000', 'ready-after-ms': '20000' }),
      annotated('flaky', { 'run-time-ms': '1000', 'exit-code': '2', exits: '2' }),
      annotated('sick', { 'unhealthy-after-ms': '10000' }),
    ]);
    await cluster.advance('4s');
    assert.equal((await statusOf(cluster, 'late'))?.state?.waiting?.reason, 'ContainerCreating');
    await cluster.advance('16s');
    assert.equal((await statusOf(cluster, 'late'))?.ready, false);
    assert.equal((await statusOf(cluster, 'sick'))?.ready, false, 'three probes failed');
    await cluster.advance('10s');
    assert.equal((await statusOf(cluster, 'late'))?.ready, true);
    await cluster.advance('1m');
    const flaky = await statusOf(cluster, 'flaky');
    assert.deepEqual([flaky?.restartCount, flaky?.lastState?.terminated?.exitCode, flaky?.ready], [2, 2, true]);
  });

  test('a bad value is as none', async () => {
    const cluster = await start();
    await cluster.apply(annotated('one', { 'run-time-ms': 'soon', cpu: 'much' }));
    await cluster.advance('1m');
    assert.equal((await statusOf(cluster, 'one'))?.ready, true);
  });
});
