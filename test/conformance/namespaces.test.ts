/** Conformance behaviours of namespaces, each by its name in the catalogue, on a whole cluster with pretended containers. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CoreV1Api } from '@kubernetes/client-node';
import { type ClusterUnderTest, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { codeOf, configOf, container, until } from './official-client.ts';

let cluster: ClusterUnderTest;
let core: CoreV1Api;

before(async () => {
  cluster = await startClusterUnderTest('--runtime', 'simulated');
  core = configOf(cluster).makeApiClient(CoreV1Api);
});
after(() => cluster.close());

/** Makes the namespace, deletes it with what `fill` put into it, waits until it is gone and makes it again. */
async function deletedAndMadeAgain(name: string, fill: () => Promise<void>): Promise<void> {
  await core.createNamespace({ body: { metadata: { name } } });
  await until('its service account is there', async () => (await core.listNamespacedServiceAccount({ namespace: name })).items.length === 1);
  await fill();
  await core.deleteNamespace({ name });
  await until('the namespace goes', async () => (await codeOf(core.readNamespace({ name }))) === 404);
  await core.createNamespace({ body: { metadata: { name } } });
}

test('[sig-api-machinery] Namespaces [Serial] should ensure that all pods are removed when a namespace is deleted [Conformance]', async () => {
  const namespace = 'nsdeletetest';
  await deletedAndMadeAgain(namespace, async () => {
    await core.createNamespacedPod({ namespace, body: { metadata: { name: 'test-pod' }, spec: { containers: [container] } } });
    await until('the pod runs', async () => (await core.readNamespacedPod({ name: 'test-pod', namespace })).status?.phase === 'Running');
  });
  assert.deepEqual((await core.listNamespacedPod({ namespace })).items, []);
  assert.equal(await codeOf(core.readNamespacedPod({ name: 'test-pod', namespace })), 404);
});

test('[sig-api-machinery] Namespaces [Serial] should ensure that all services are removed when a namespace is deleted [Conformance]', async () => {
  const namespace = 'nsdeletetest-services';
  await deletedAndMadeAgain(namespace, async () => {
    await core.createNamespacedService({
      namespace,
      body: { metadata: { name: 'test-service' }, spec: { selector: { a: 'b' }, ports: [{ port: 80 }] } },
    });
  });
  assert.deepEqual((await core.listNamespacedService({ namespace })).items, []);
  assert.equal(await codeOf(core.readNamespacedService({ name: 'test-service', namespace })), 404);
});
