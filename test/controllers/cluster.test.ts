/** Namespaces, nodes, budgets and garbage against the API server, with a kubelet that only pretends. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import {
  ClusterRole,
  ConfigMap,
  Deployment,
  Event,
  Lease,
  Namespace,
  Node,
  Pod,
  PodDisruptionBudget,
  Secret,
  ServiceAccount,
} from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { timestamp } from '../../src/world/world.ts';
import { type ControlPlane, notFound, readyNode, startControlPlane } from './control-plane.ts';

let plane: ControlPlane;

function pod(name: string, namespace = 'default', spec: Partial<Pod['spec']> = {}): Draft<Pod> {
  return { metadata: { name, namespace, labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'c' }], ...spec } };
}

describe('a namespace', () => {
  beforeEach(async () => {
    plane = await startControlPlane({ node: 'n1' });
  });
  afterEach(() => plane.close());

  it('gets a default service account and the CA, and gets them back', async () => {
    await plane.create(Namespace, { metadata: { name: 'team' }, spec: {} });
    await plane.settle();
    await plane.get(ServiceAccount, 'default', 'team');
    assert.equal((await plane.get(ConfigMap, 'kube-root-ca.crt', 'team')).data?.['ca.crt'], 'the CA');
    await plane.admin.resource(ServiceAccount).namespace('team').delete('default');
    await plane.admin
      .resource(ConfigMap)
      .namespace('team')
      .patch('kube-root-ca.crt', { data: { 'ca.crt': 'another' } });
    await plane.settle();
    await plane.get(ServiceAccount, 'default', 'team');
    assert.equal((await plane.get(ConfigMap, 'kube-root-ca.crt', 'team')).data?.['ca.crt'], 'the CA');
    assert.deepEqual(plane.complaints, []);
  });

  it('goes with all that is in it', async () => {
    await plane.create(Namespace, { metadata: { name: 'team' }, spec: {} });
    await plane.settle();
    await plane.create(Deployment, {
      metadata: { name: 'web', namespace: 'team' },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'c' }] } },
      },
    });
    await plane.create(Secret, { metadata: { name: 's', namespace: 'team' } });
    await plane.settle();
    assert.equal((await plane.list(Pod, 'team')).length, 2);
    await plane.admin.resource(Namespace).delete('team');
    await plane.until('the namespace is gone', () => notFound(plane.get(Namespace, 'team')), 20_000);
    assert.deepEqual(await plane.list(Pod, 'team'), []);
    assert.deepEqual(await plane.list(Secret, 'team'), []);
    assert.deepEqual(await plane.list(Deployment, 'team'), []);
  });

  it('waits for finalizers, and names them', async () => {
    await plane.create(Namespace, { metadata: { name: 'team' }, spec: {} });
    await plane.create(ConfigMap, { metadata: { name: 'held', namespace: 'team', finalizers: ['example.com/hold'] } });
    await plane.settle();
    await plane.admin.resource(Namespace).delete('team');
    await plane.settle(1000);
    const { status } = await plane.get(Namespace, 'team');
    assert.equal(status.phase, 'Terminating');
    const condition = (type: string) => status.conditions?.find((candidate) => candidate.type === type);
    assert.equal(
      condition('NamespaceFinalizersRemaining')?.message,
      'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
    );
    assert.equal(condition('NamespaceContentRemaining')?.message, 'Some resources are remaining: configmaps. has 1 resource instances');
    await plane.admin
      .resource(ConfigMap)
      .namespace('team')
      .patch('held', { metadata: { finalizers: [] } });
    await plane.settle();
    assert.ok(await notFound(plane.get(Namespace, 'team')));
  });
});

describe('garbage', () => {
  beforeEach(async () => {
    plane = await startControlPlane();
  });
  afterEach(() => plane.close());

  const owned = (name: string, namespace: string, owner: { metadata: { name: string; uid: string } }): Draft<ConfigMap> => ({
    metadata: { name, namespace, ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: owner.metadata.name, uid: owner.metadata.uid }] },
  });

  it('is what names an owner that never was', async () => {
    await plane.create(ConfigMap, owned('child', 'default', { metadata: { name: 'nobody', uid: 'no-such-uid' } }));
    await plane.settle();
    assert.ok(await notFound(plane.get(ConfigMap, 'child')));
  });

  it('is what names an owner in another namespace', async () => {
    const owner = await plane.create(ConfigMap, { metadata: { name: 'owner', namespace: 'default' } });
    await plane.create(ConfigMap, owned('here', 'default', owner));
    await plane.create(ConfigMap, owned('there', 'kube-public', owner));
    await plane.settle();
    await plane.get(ConfigMap, 'here');
    assert.ok(await notFound(plane.get(ConfigMap, 'there', 'kube-public')));
    const told = (await plane.list(Event, 'kube-public')).map(({ reason, message }) => `${reason}: ${message}`);
    const reference = `[v1/ConfigMap, namespace: kube-public, name: owner, uid: ${owner.metadata.uid}]`;
    assert.deepEqual(told, [`OwnerRefInvalidNamespace: ownerRef ${reference} does not exist in namespace "kube-public"`]);
  });

  it('is collected down the line', async () => {
    let owner = await plane.create(ConfigMap, { metadata: { name: 'm0', namespace: 'default' } });
    for (let i = 1; i < 5; i++) owner = await plane.create(ConfigMap, owned(`m${i}`, 'default', owner));
    await plane.settle();
    await plane.admin.resource(ConfigMap).namespace('default').delete('m0');
    await plane.settle();
    await plane.until('all gone', async () => (await plane.list(ConfigMap)).every(({ metadata }) => !metadata.name.startsWith('m')));
  });
});

describe('a node', () => {
  beforeEach(async () => {
    plane = await startControlPlane();
  });
  afterEach(() => plane.close());

  async function beat(...names: string[]): Promise<void> {
    for (const name of names) {
      await plane.admin
        .resource(Lease)
        .namespace('kube-node-lease')
        .patch(name, { spec: { renewTime: timestamp(plane.world.clock.now()).replace('Z', '.000000Z') } });
    }
  }

  async function join(name: string): Promise<void> {
    const draft = readyNode(name, plane.world);
    await plane.create(Node, draft);
    await plane.admin.resource(Node).patch(name, { status: draft.status }, { type: 'strategic', subresource: 'status' });
    await plane.create(Lease, { metadata: { name, namespace: 'kube-node-lease' }, spec: { holderIdentity: name } });
    await plane.settle();
  }

  const taints = async (name: string) => (await plane.get(Node, name)).spec.taints?.map(({ key, effect }) => `${key}:${effect}`) ?? [];
  const health = async (name: string) => (await plane.get(Node, name)).status.conditions?.find(({ type }) => type === 'Ready')?.status;

  it('gets a block of the pod network, another than its neighbours', async () => {
    await Promise.all(['a', 'b', 'c'].map(join));
    const cidrs = (await plane.list(Node)).map(({ spec }) => spec.podCIDR ?? '');
    assert.deepEqual([...cidrs].sort(), ['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24']);
    assert.deepEqual((await plane.get(Node, 'a')).spec.podCIDRs?.length, 1);
  });

  it('is free of taints when ready', async () => {
    await join('a');
    assert.deepEqual(await taints('a'), []);
  });

  it('that falls silent is unreachable after 40 s, and its pods go when their patience ends', async () => {
    await join('dead');
    await join('alive');
    await plane.create(Pod, pod('patient', 'default', { nodeName: 'dead' }));
    await plane.create(Pod, pod('stoic', 'default', { nodeName: 'dead', tolerations: [{ operator: 'Exists' }] }));
    const now = timestamp(plane.world.clock.now());
    await plane.admin
      .resource(Pod)
      .namespace('default')
      .patch(
        'patient',
        { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: now }] } },
        { type: 'strategic', subresource: 'status' },
      );
    for (let s = 0; s < 35; s += 5) {
      await plane.settle(5000);
      await beat('alive');
    }
    assert.equal(await health('dead'), 'True');
    await plane.settle(6000);
    await beat('alive');
    assert.equal(await health('dead'), 'Unknown');
    assert.equal(await health('alive'), 'True');
    assert.deepEqual(await taints('dead'), ['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute']);
    const ready = (await plane.get(Pod, 'patient')).status.conditions?.find(({ type }) => type === 'Ready');
    assert.equal(ready?.status, 'False');
    for (let s = 0; s < 310; s += 10) {
      assert.equal((await plane.get(Pod, 'patient')).metadata.deletionTimestamp === undefined, true, `after ${s} s`);
      if (s >= 290) break;
      await plane.settle(10_000);
      await beat('alive');
    }
    await plane.settle(15_000);
    await beat('alive');
    assert.notEqual((await plane.get(Pod, 'patient')).metadata.deletionTimestamp, undefined);
    const disrupted = (await plane.get(Pod, 'patient')).status.conditions?.find(({ type }) => type === 'DisruptionTarget');
    assert.deepEqual([disrupted?.reason, disrupted?.observedGeneration], ['DeletionByTaintManager', 1]);
    assert.equal((await plane.get(Pod, 'stoic')).metadata.deletionTimestamp, undefined);
  });

  it('alone in falling silent with all others keeps its pods', async () => {
    await join('a');
    await plane.settle(50_000);
    assert.equal(await health('a'), 'Unknown');
    assert.deepEqual(await taints('a'), ['node.kubernetes.io/unreachable:NoSchedule']);
  });

  it('that is cordoned says so by taint', async () => {
    await join('a');
    await plane.admin.resource(Node).patch('a', { spec: { unschedulable: true } });
    await plane.settle();
    assert.deepEqual(await taints('a'), ['node.kubernetes.io/unschedulable:NoSchedule']);
  });

  it('that is deleted takes its pods with it, after a while', async () => {
    await join('a');
    const told = async (): Promise<string[]> =>
      (await plane.list(Event)).flatMap(({ involvedObject, message = '' }) => (involvedObject.kind === 'Node' ? [message] : []));
    assert.deepEqual(await told(), ['Node a event: Registered Node a in Controller']);
    await plane.create(Pod, pod('lost', 'default', { nodeName: 'a' }));
    await plane.settle(1000);
    await plane.admin.resource(Node).delete('a');
    await plane.settle(30_000);
    await plane.get(Pod, 'lost');
    await plane.settle(60_000);
    assert.ok(await notFound(plane.get(Pod, 'lost')));
    assert.deepEqual((await told()).toSorted(), ['Node a event: Registered Node a in Controller', 'Node a event: Removing Node a from Controller']);
  });
});

describe('a disruption budget', () => {
  beforeEach(async () => {
    plane = await startControlPlane({ node: 'n1' });
  });
  afterEach(() => plane.close());

  it('counts what may go', async () => {
    await plane.create(Deployment, {
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'c' }] } },
      },
    });
    const budget = (name: string, spec: PodDisruptionBudget['spec']) =>
      plane.create(PodDisruptionBudget, { metadata: { name, namespace: 'default' }, spec: { selector: { matchLabels: { app: 'web' } }, ...spec } });
    await budget('two', { minAvailable: 2 });
    await budget('most', { minAvailable: '60%' });
    await budget('one', { maxUnavailable: 1 });
    await plane.settle();
    for (const name of ['two', 'most', 'one']) {
      const { status } = await plane.get(PodDisruptionBudget, name);
      assert.deepEqual([name, status.disruptionsAllowed, status.currentHealthy, status.desiredHealthy, status.expectedPods], [name, 1, 3, 2, 3]);
      assert.equal(status.conditions?.[0]?.reason, 'SufficientPods');
    }
    await plane.admin
      .resource(Deployment)
      .namespace('default')
      .patch('web', { spec: { replicas: 2 } });
    await plane.settle();
    assert.equal((await plane.get(PodDisruptionBudget, 'two')).status.disruptionsAllowed, 0);
    assert.equal((await plane.get(PodDisruptionBudget, 'two')).status.conditions?.[0]?.reason, 'InsufficientPods');
  });
});

describe('cluster roles', () => {
  beforeEach(async () => {
    plane = await startControlPlane();
  });
  afterEach(() => plane.close());

  it('are aggregated', async () => {
    await plane.settle();
    assert.ok(((await plane.get(ClusterRole, 'view')).rules ?? []).length > 0);
    await plane.create(ClusterRole, {
      metadata: { name: 'more', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
      rules: [{ apiGroups: ['example.com'], resources: ['things'], verbs: ['get'] }],
    });
    await plane.settle();
    assert.ok((await plane.get(ClusterRole, 'view')).rules?.some(({ apiGroups }) => apiGroups?.includes('example.com')));
    assert.ok((await plane.get(ClusterRole, 'admin')).rules?.some(({ resources }) => resources?.includes('pods/exec')));
  });
});
