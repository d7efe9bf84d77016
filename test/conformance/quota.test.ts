/** Conformance behaviours of resource quotas, each by its name in the catalogue, on a whole cluster with pretended containers. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { CoreV1Api, PatchStrategy, setHeaderOptions, type V1Pod, type V1ResourceRequirements } from '@kubernetes/client-node';
import { type ClusterUnderTest, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { codeOf, configOf, container, replicationController, until } from './official-client.ts';

type Amounts = Record<string, string>;

let cluster: ClusterUnderTest;
let core: CoreV1Api;
let namespace: string;
let count = 0;

const hard: Amounts = {
  pods: '5',
  services: '10',
  replicationcontrollers: '10',
  resourcequotas: '2',
  cpu: '1',
  memory: '500Mi',
  configmaps: '10',
  secrets: '10',
  'requests.ephemeral-storage': '50Gi',
  'requests.example.com/dongle': '3',
};

before(async () => {
  cluster = await startClusterUnderTest('--runtime', 'simulated');
  core = configOf(cluster).makeApiClient(CoreV1Api);
});
after(() => cluster.close());
beforeEach(async () => {
  namespace = `quota-${count++}`;
  await core.createNamespace({ body: { metadata: { name: namespace } } });
});

async function usedIs(name: string, expected: Amounts): Promise<void> {
  await until(`${name} counts ${JSON.stringify(expected)}`, async () => {
    const { status } = await core.readNamespacedResourceQuota({ name, namespace });
    return Object.entries(expected).every(([resource, amount]) => status?.used?.[resource] === amount);
  });
}

async function quota(name: string, limits: Amounts = hard, scopes?: string[]): Promise<void> {
  await core.createNamespacedResourceQuota({ namespace, body: { metadata: { name }, spec: { hard: limits, ...(scopes && { scopes }) } } });
  await until('its status has its limits', async () => {
    const { status } = await core.readNamespacedResourceQuota({ name, namespace });
    return status?.used !== undefined && JSON.stringify(status.hard) === JSON.stringify(limits);
  });
}

const pod = (name: string, resources: V1ResourceRequirements, spec: Partial<V1Pod['spec']> = {}): V1Pod => ({
  metadata: { name },
  spec: { terminationGracePeriodSeconds: 0, containers: [Object.assign({ resources }, container)], ...spec },
});

test('[sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated. [Conformance]', async () => {
  await quota('test-quota');
  await usedIs('test-quota', { pods: '0', resourcequotas: '1', cpu: '0', memory: '0', secrets: '0' });
});

test('[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a secret. [Conformance]', async () => {
  await quota('test-quota');
  await core.createNamespacedSecret({ namespace, body: { metadata: { name: 'test-secret' }, stringData: { 'data-1': 'value-1' } } });
  await usedIs('test-quota', { secrets: '1', resourcequotas: '1' });
  await core.deleteNamespacedSecret({ name: 'test-secret', namespace });
  await usedIs('test-quota', { secrets: '0' });
});

test('[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replication controller. [Conformance]', async () => {
  await quota('test-quota');
  await core.createNamespacedReplicationController({ namespace, body: replicationController('test-rc', 0) });
  await usedIs('test-quota', { replicationcontrollers: '1' });
  await core.deleteNamespacedReplicationController({ name: 'test-rc', namespace });
  await usedIs('test-quota', { replicationcontrollers: '0' });
});

test('[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod. [Conformance]', async () => {
  await quota('test-quota');
  const requests = { cpu: '500m', memory: '252Mi', 'ephemeral-storage': '30Gi', 'example.com/dongle': '2' };
  const limits = { 'example.com/dongle': '2' };
  await core.createNamespacedPod({ namespace, body: pod('test-pod', { requests, limits }) });
  const taken = { pods: '1', cpu: '500m', memory: '252Mi', 'requests.ephemeral-storage': '30Gi', 'requests.example.com/dongle': '2' };
  await usedIs('test-quota', taken);

  const tooMuch = pod('fail-pod', {
    requests: { ...requests, cpu: '600m', memory: '100Mi', 'ephemeral-storage': '1Gi', 'example.com/dongle': '1' },
    limits: { 'example.com/dongle': '1' },
  });
  assert.equal(await codeOf(core.createNamespacedPod({ namespace, body: tooMuch })), 403);
  const tooMany = pod('fail-pod', {
    requests: { cpu: '1m', memory: '1Mi', 'ephemeral-storage': '1Gi', 'example.com/dongle': '2' },
    limits: { 'example.com/dongle': '2' },
  });
  assert.equal(await codeOf(core.createNamespacedPod({ namespace, body: tooMany })), 403);

  const grown = { spec: { containers: [{ name: container.name, resources: { requests: { cpu: '100m', memory: '100Mi' } } }] } };
  const update = core.patchNamespacedPod(
    { name: 'test-pod', namespace, body: grown },
    setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
  );
  assert.equal(await codeOf(update), 422);
  await usedIs('test-quota', taken);

  await core.deleteNamespacedPod({ name: 'test-pod', namespace });
  await usedIs('test-quota', { pods: '0', cpu: '0', memory: '0', 'requests.ephemeral-storage': '0', 'requests.example.com/dongle': '0' });
});

test('[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes. [Conformance]', async () => {
  const limits = { pods: '5', 'requests.cpu': '1', 'requests.memory': '500Mi', 'limits.cpu': '2', 'limits.memory': '1Gi' };
  await quota('quota-terminating', limits, ['Terminating']);
  await quota('quota-not-terminating', limits, ['NotTerminating']);
  const resources = { requests: { cpu: '500m', memory: '200Mi' }, limits: { cpu: '1', memory: '400Mi' } };
  const taken = { pods: '1', 'requests.cpu': '500m', 'requests.memory': '200Mi', 'limits.cpu': '1', 'limits.memory': '400Mi' };
  const nothing = { pods: '0', 'requests.cpu': '0', 'requests.memory': '0', 'limits.cpu': '0', 'limits.memory': '0' };

  await core.createNamespacedPod({ namespace, body: pod('test-pod', resources) });
  await usedIs('quota-not-terminating', taken);
  await usedIs('quota-terminating', nothing);
  await core.deleteNamespacedPod({ name: 'test-pod', namespace });
  await usedIs('quota-not-terminating', nothing);

  await core.createNamespacedPod({ namespace, body: pod('terminating-pod', resources, { activeDeadlineSeconds: 3600 }) });
  await usedIs('quota-terminating', taken);
  await usedIs('quota-not-terminating', nothing);
  await core.deleteNamespacedPod({ name: 'terminating-pod', namespace });
  await usedIs('quota-terminating', nothing);
});
