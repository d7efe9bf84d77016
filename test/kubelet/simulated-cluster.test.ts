/** Kubelet, API server, scheduler and controllers together, with simulated containers on a virtual clock. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { Deployment, Node, Pod, startCluster, type VirtualCluster } from '../../src/index.ts';

interface Rig {
  readonly cluster: VirtualCluster;
  readonly complaints: string[];
  until(what: string, done: () => Promise<boolean>): Promise<void>;
}

const open: VirtualCluster[] = [];
afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.close();
});

async function rig(): Promise<Rig> {
  const complaints: string[] = [];
  const cluster = await startCluster({
    clock: 'virtual',
    seed: 7,
    freeze: true,
    onLog(level, component, message, fields) {
      if (level === 'warn' || level === 'error') complaints.push(`${component}: ${message} ${JSON.stringify(fields)}`);
    },
  });
  open.push(cluster);
  return { cluster, complaints, until: (what, done) => cluster.until(done, { what }).then(() => undefined) };
}

describe('a whole cluster in one process', () => {
  test('runs a Deployment, with tokens and all, and lets go of it', async () => {
    const { cluster, complaints, until } = await rig();
    const { client: admin } = cluster;
    await until('the node is ready', async () =>
      (await admin.resource(Node).list()).items.some(({ status }) =>
        status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      ),
    );
    const startMs = cluster.now().getTime();
    await admin
      .resource(Deployment)
      .namespace('default')
      .create({
        metadata: { name: 'web' },
        spec: {
          replicas: 3,
          selector: { matchLabels: { app: 'web' } },
          template: {
            metadata: { labels: { app: 'web' } },
            spec: { containers: [{ name: 'main', image: 'nginx:1', readinessProbe: { httpGet: { port: 80 } } }] },
          },
        },
      });
    const web = () => admin.resource(Deployment).namespace('default').get('web');
    await until('three replicas are available', async () => (await web()).status.availableReplicas === 3);
    assert.ok(cluster.now().getTime() - startMs <= 100, 'nothing waits for a clock');
    const pods = (await admin.resource(Pod).namespace('default').list()).items;
    for (const { status, spec } of pods) {
      assert.equal(status.phase, 'Running');
      assert.match(status.podIP ?? '', /^10\.128\.0\.\d+$/);
      assert.ok(spec.volumes?.some(({ projected }) => projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken !== undefined)));
      assert.deepEqual(status.conditions?.map(({ type }) => type).sort(), [
        'ContainersReady',
        'Initialized',
        'PodReadyToStartContainers',
        'PodScheduled',
        'Ready',
      ]);
    }
    const first = pods[0]?.metadata.name ?? '';
    const version = pods[0]?.metadata.resourceVersion;
    await cluster.advance('1m');
    assert.equal(
      (await admin.resource(Pod).namespace('default').get(first)).metadata.resourceVersion,
      version,
      'nothing is written while nothing happens',
    );

    await admin.resource(Pod).namespace('default').delete(first);
    await until('another pod has taken its place', async () => {
      const { items } = await admin.resource(Pod).namespace('default').list();
      return items.length === 3 && items.every(({ metadata }) => metadata.name !== first) && (await web()).status.availableReplicas === 3;
    });
    await admin.resource(Deployment).namespace('default').delete('web');
    await until('all pods are gone', async () => (await admin.resource(Pod).namespace('default').list()).items.length === 0);
    await until('nothing is left in the runtime', async () => (await cluster.running()).length === 0);
    assert.deepEqual(complaints, []);
  });

  test('an ephemeral container joins a running pod', async () => {
    const { cluster, until } = await rig();
    const { client: admin } = cluster;
    await until('the service account is there', async () => {
      try {
        await admin
          .resource(Pod)
          .namespace('default')
          .create({ metadata: { name: 'web' }, spec: { containers: [{ name: 'main', image: 'nginx:1' }] } });
        return true;
      } catch {
        return false;
      }
    });
    const pod = () => admin.resource(Pod).namespace('default').get('web');
    await until('it runs', async () => (await pod()).status.phase === 'Running');
    await admin
      .resource(Pod)
      .namespace('default')
      .patch(
        'web',
        { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox:1' }] } },
        { type: 'strategic', subresource: 'ephemeralcontainers' },
      );
    await until('it runs too', async () => (await pod()).status.ephemeralContainerStatuses?.[0]?.state?.running !== undefined);
    assert.equal((await pod()).status.containerStatuses?.[0]?.restartCount, 0);
  });
});
