/** `startCluster` as its user meets it: on the real clock, in this process. What docs/testing.md shows is tested in `docs.test.ts`. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { type Cluster, type ClusterOptions, ConfigMap, Deployment, isReason, Node, Pod, startCluster } from '../../src/index.ts';

const open: Cluster[] = [];
afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.close();
});

async function start(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await startCluster(options);
  open.push(cluster);
  return cluster;
}

function deployment(name: string, replicas: number, annotations: Record<string, string> = {}): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name }, annotations }, spec: { containers: [{ name: 'main', image: 'app:1' }] } },
    },
  };
}

const pod = (name: string, annotations: Record<string, string> = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, annotations },
  spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'app:1' }] },
});

const available = async (cluster: Cluster, name: string, count: number): Promise<Deployment> =>
  cluster.until(
    async () => {
      const found = await cluster.client.resource(Deployment).namespace('default').get(name);
      return found.status.availableReplicas === count && found;
    },
    { what: `${count} of ${name} are available` },
  );

describe('a cluster in this process', () => {
  test('runs what is applied, in an order in which everything finds what it needs', async () => {
    const cluster = await start();
    const objects = await cluster.apply(
      `
      apiVersion: example.com/v1
      kind: Widget
      metadata: { name: one, namespace: shop }
      spec: { size: 3 }
      ---
      apiVersion: v1
      kind: Pod
      metadata: { name: app, namespace: shop }
      spec: { containers: [{ name: main, image: app }] }
      ---
      apiVersion: v1
      kind: Namespace
      metadata: { name: shop }
      ---
      apiVersion: apiextensions.k8s.io/v1
      kind: CustomResourceDefinition
      metadata: { name: widgets.example.com }
      spec:
        group: example.com
        scope: Namespaced
        names: { kind: Widget, plural: widgets }
        versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }]
    `.replaceAll(/^ {6}/gm, ''),
    );
    assert.deepEqual(
      objects.map(({ kind }) => kind),
      ['Widget', 'Pod', 'Namespace', 'CustomResourceDefinition'],
    );
    await cluster.until(async () => (await cluster.client.resource(Pod).namespace('shop').get('app')).status.phase === 'Running');
  });

  test('says plainly what is wrong with a manifest', async () => {
    const cluster = await start({ nodes: 0 });
    await assert.rejects(cluster.apply('kind: Pod'), /a manifest has no apiVersion/);
    await assert.rejects(cluster.apply('apiVersion: v1\nkind: Pod'), /a manifest of kind Pod has no metadata.name/);
    await assert.rejects(cluster.apply('a: [1'), /the manifest is not YAML/);
    await assert.rejects(cluster.apply({ apiVersion: 'v2', kind: 'Pod', metadata: { name: 'x' } }), /no matches for kind "Pod" in version "v2"/);
    await assert.rejects(cluster.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'X' }, spec: {} }), (error) => isReason(error, 'Invalid'));
  });

  test('authorizes who asks', async () => {
    const cluster = await start({ nodes: 0 });
    const guest = cluster.clientAs('guest');
    await assert.rejects(
      guest.resource(ConfigMap).namespace('default').list(),
      /configmaps is forbidden: User "guest" cannot list resource "configmaps"/,
    );
    await assert.doesNotReject(cluster.clientAs('someone', ['system:masters']).resource(ConfigMap).namespace('default').list());
  });

  test('has the nodes that were asked for, and takes more', async () => {
    const cluster = await start({ nodes: [{ name: 'big', cpu: 64, memory: '256Gi', pods: 20, labels: { size: 'big' } }, {}] });
    assert.deepEqual(await cluster.addNodes(2, { name: 'more' }), ['more-3', 'more-4']);
    const nodes = (await cluster.client.resource(Node).list()).items;
    assert.deepEqual(nodes.map(({ metadata }) => metadata.name).toSorted(), ['big', 'more-3', 'more-4', 'node-2']);
    const big = nodes.find(({ metadata }) => metadata.name === 'big');
    assert.equal(big?.metadata.labels?.['size'], 'big');
    assert.deepEqual([big?.status.capacity?.['cpu'], big?.status.capacity?.['memory'], big?.status.capacity?.['pods']], ['64', '256Gi', '20']);
    await assert.rejects(cluster.addNodes(1, { name: 'big' }), /there is a node big already/);
  });

  test('a machine that was off has lost its containers', async () => {
    const cluster = await start();
    await cluster.apply(deployment('web', 2));
    await available(cluster, 'web', 2);
    assert.equal((await cluster.running()).length, 2);
    cluster.stopNode('node-1');
    assert.equal((await cluster.running()).length, 0);
    await cluster.startNode('node-1');
    await cluster.until(async () => (await cluster.running()).length === 2);
    assert.throws(() => cluster.stopNode('node-7'), /there is no node node-7/);
  });

  test('containers follow their annotations', async () => {
    const cluster = await start();
    const annotation = (name: string): string => `simulated.k8ts.local/${name}`;
    await cluster.apply([
      pod('fails', { [annotation('run-time-ms')]: '10', [annotation('exit-code')]: '3', [annotation('message')]: 'out of luck' }),
      pod('ends', { [annotation('run-time-ms.main')]: '10' }),
    ]);
    const pods = cluster.client.resource(Pod).namespace('default');
    await cluster.until(async () => (await pods.get('fails')).status.phase === 'Failed' && (await pods.get('ends')).status.phase === 'Succeeded');
    const ended = (await pods.get('fails')).status.containerStatuses?.[0]?.state?.terminated;
    assert.deepEqual([ended?.exitCode, ended?.message], [3, 'out of luck']);
  });

  test('goes back to a snapshot, and goes on in a fork, with running containers left alone', async () => {
    const cluster = await start({ nodes: 2 });
    await cluster.apply(deployment('web', 3));
    await available(cluster, 'web', 3);
    const before = await cluster.running();
    const snapshot = await cluster.snapshot();
    await cluster.client.resource(Deployment).namespace('default').delete('web');
    await cluster.until(async () => (await cluster.running()).length === 0);
    await cluster.restore(snapshot);
    assert.deepEqual(await cluster.running(), before);
    await available(cluster, 'web', 3);
    assert.deepEqual(await cluster.running(), before, 'nothing was started anew');

    const fork = await cluster.fork();
    open.push(fork);
    await fork.client
      .resource(Deployment)
      .namespace('default')
      .patch('web', { spec: { replicas: 1 } });
    await fork.until(async () => (await fork.running()).length === 1);
    assert.deepEqual(await cluster.running(), before, 'the one it came from goes its own way');
  });

  test('revisions go on from a snapshot', async () => {
    const cluster = await start({ nodes: 0 });
    const settings = cluster.client.resource(ConfigMap).namespace('default');
    const made = await settings.create({ metadata: { name: 'settings' }, data: { a: '1' } });
    const snapshot = await cluster.snapshot();
    const changed = await settings.patch('settings', { data: { a: '2' } });
    await cluster.restore(snapshot);
    assert.equal((await settings.get('settings')).metadata.resourceVersion, made.metadata.resourceVersion);
    await assert.rejects(settings.update(changed), (error) => isReason(error, 'Conflict'));
    const again = await settings.patch('settings', { data: { a: '3' } });
    assert.ok(Number(again.metadata.resourceVersion) > Number(made.metadata.resourceVersion));
  });

  test('serves stock clients when asked for a port, also after a restore', async () => {
    const cluster = await start({ port: 0 });
    const config = new KubeConfig();
    config.loadFromString(cluster.kubeconfig());
    const api = config.makeApiClient(CoreV1Api);
    const snapshot = await cluster.snapshot();
    assert.deepEqual(
      (await api.listNode()).items.map(({ metadata }) => metadata?.name),
      ['node-1'],
    );
    await cluster.restore(snapshot);
    assert.deepEqual(
      (await api.listNode()).items.map(({ metadata }) => metadata?.name),
      ['node-1'],
    );
  });

  test('without a port there is no kubeconfig', async () => {
    const cluster = await start({ nodes: 0 });
    assert.equal(cluster.url, undefined);
    assert.throws(() => cluster.kubeconfig(), /this cluster has no port: start it with \{ port: 0 \}/);
  });

  test('waiting ends with what was waited for', async () => {
    const cluster = await start({ nodes: 0 });
    await assert.rejects(
      cluster.until(() => false, { timeout: 20, what: 'pigs fly' }),
      /after 20 ms still not: pigs fly/,
    );
  });

  test('leaves nothing behind', async () => {
    const before = process.getActiveResourcesInfo();
    const cluster = await start({ nodes: 2, port: 0 });
    await cluster.apply(deployment('web', 3));
    await available(cluster, 'web', 3);
    const fork = await cluster.fork();
    await fork.close();
    await cluster.close();
    // A closed socket is counted until the system has let go of it; one of an earlier test may have been so before.
    const more = (): string[] => {
      const left = process.getActiveResourcesInfo();
      for (const known of before) if (left.includes(known)) left.splice(left.indexOf(known), 1);
      return left;
    };
    for (let turn = 0; turn < 500 && more().length > 0; turn++) await sleep(10);
    assert.deepEqual(more(), []);
    await assert.rejects(cluster.client.resource(Pod).list(), /connection refused/);
  });
});
