/** Conformance behaviours of the garbage collector, each by its name in the catalogue, on a whole cluster with pretended containers. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { AppsV1Api, CoreV1Api, PatchStrategy, setHeaderOptions, type V1Deployment, type V1Pod } from '@kubernetes/client-node';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { codeOf, configOf, container, replicationController, until } from './official-client.ts';

let cluster: ClusterUnderTest;
let core: CoreV1Api;
let apps: AppsV1Api;
let namespace: string;
let count = 0;

before(async () => {
  cluster = await startClusterUnderTest('--runtime', 'simulated');
  const config = configOf(cluster);
  core = config.makeApiClient(CoreV1Api);
  apps = config.makeApiClient(AppsV1Api);
});
after(() => cluster.close());
beforeEach(async () => {
  namespace = `gc-${count++}`;
  await core.createNamespace({ body: { metadata: { name: namespace } } });
});

const pods = async (): Promise<V1Pod[]> => (await core.listNamespacedPod({ namespace })).items;

const deployment = (name: string): V1Deployment => ({
  metadata: { name },
  spec: {
    replicas: 2,
    selector: { matchLabels: { name } },
    template: { metadata: { labels: { name } }, spec: { terminationGracePeriodSeconds: 0, containers: [container] } },
  },
});

async function deploy(name: string): Promise<void> {
  await apps.createNamespacedDeployment({ namespace, body: deployment(name) });
  await until('its pods are there', async () => (await pods()).length === 2);
}

test('[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning [Conformance]', async () => {
  await deploy('simpletest.deployment');
  await apps.deleteNamespacedDeployment({ name: 'simpletest.deployment', namespace, propagationPolicy: 'Background' });
  await until('the replica set goes', async () => (await apps.listNamespacedReplicaSet({ namespace })).items.length === 0);
  await until('the pods go', async () => (await pods()).length === 0);
});

test('[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan [Conformance]', async () => {
  await deploy('simpletest.deployment');
  await apps.deleteNamespacedDeployment({ name: 'simpletest.deployment', namespace, propagationPolicy: 'Orphan' });
  await until('the deployment goes', async () => (await codeOf(apps.readNamespacedDeployment({ name: 'simpletest.deployment', namespace }))) === 404);
  const { items } = await apps.listNamespacedReplicaSet({ namespace });
  assert.equal(items.length, 1);
  assert.equal(items[0]?.metadata?.ownerReferences, undefined);
  assert.equal(items[0]?.metadata?.deletionTimestamp, undefined);
  const orphans = await pods();
  assert.equal(orphans.length, 2);
  for (const { metadata } of orphans) {
    assert.equal(metadata?.ownerReferences?.[0]?.uid, items[0]?.metadata?.uid, 'pods stay with their replica set');
    assert.equal(metadata?.deletionTimestamp, undefined);
  }
});

test('[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so [Conformance]', async () => {
  const name = 'simpletest.rc';
  await core.createNamespacedReplicationController({ namespace, body: replicationController(name, 10) });
  await until('all pods are there', async () => (await pods()).length === 10);
  // One pod is held back, so that it can be seen who waits for whom.
  const [held] = await pods();
  const heldName = held?.metadata?.name ?? '';
  const finalizers = (list: readonly string[]): Promise<V1Pod> =>
    core.patchNamespacedPod(
      { name: heldName, namespace, body: { metadata: { finalizers: list } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
  await finalizers(['example.com/hold']);
  await core.deleteNamespacedReplicationController({ name, namespace, propagationPolicy: 'Foreground' });
  await until('all pods but one go', async () => (await pods()).length === 1);
  const waiting = await core.readNamespacedReplicationController({ name, namespace });
  assert.deepEqual(waiting.metadata?.finalizers, ['foregroundDeletion']);
  assert.notEqual(waiting.metadata?.deletionTimestamp, undefined);
  await finalizers([]);
  await until('the controller goes', async () => (await codeOf(core.readNamespacedReplicationController({ name, namespace }))) === 404);
  assert.deepEqual(await pods(), []);
});

test("[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted [Conformance]", async () => {
  const [first, second] = ['simpletest-rc-to-be-deleted', 'simpletest-rc-to-stay'];
  await core.createNamespacedReplicationController({ namespace, body: replicationController(first, 10) });
  const stays = await core.createNamespacedReplicationController({ namespace, body: replicationController(second, 0) });
  const all = await eventually('all pods are there', async () => {
    const items = await pods();
    return items.length === 10 ? items : undefined;
  });
  const shared = all.slice(0, 5).map(({ metadata }) => metadata?.name ?? '');
  for (const name of shared)
    await core.patchNamespacedPod(
      {
        name,
        namespace,
        body: {
          metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'ReplicationController', name: second, uid: stays.metadata?.uid ?? '' }] },
        },
      },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    );
  await core.deleteNamespacedReplicationController({ name: first, namespace, propagationPolicy: 'Foreground' });
  await until('its owner goes', async () => (await codeOf(core.readNamespacedReplicationController({ name: first, namespace }))) === 404);
  const left = await pods();
  assert.deepEqual(left.map(({ metadata }) => metadata?.name ?? '').toSorted(), shared.toSorted());
  for (const { metadata } of left) {
    assert.equal(metadata?.deletionTimestamp, undefined);
    assert.deepEqual(
      metadata?.ownerReferences?.map(({ name }) => name),
      [second],
      'the owner that is gone is named no more',
    );
  }
});

test('[sig-api-machinery] Garbage collector should not be blocked by dependency circle [Conformance]', async () => {
  const uids = new Map<string, string>();
  for (const name of ['pod1', 'pod2', 'pod3']) {
    const pod = await core.createNamespacedPod({
      namespace,
      body: { metadata: { name }, spec: { terminationGracePeriodSeconds: 0, containers: [container] } },
    });
    uids.set(name, pod.metadata?.uid ?? '');
  }
  const owners = { pod1: 'pod3', pod2: 'pod1', pod3: 'pod2' };
  for (const [name, owner] of Object.entries(owners)) {
    const reference = { apiVersion: 'v1', kind: 'Pod', name: owner, uid: uids.get(owner), controller: true, blockOwnerDeletion: true };
    await core.patchNamespacedPod(
      { name, namespace, body: { metadata: { ownerReferences: [reference] } } },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    );
  }
  await core.deleteNamespacedPod({ name: 'pod1', namespace, propagationPolicy: 'Foreground' });
  await until('all pods go', async () => (await pods()).length === 0);
});
