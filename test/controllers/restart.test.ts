/** Controllers that end anywhere in their work, and others that go on from what the objects say. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Deployment, Node, Pod, ReplicaSet } from '../../src/api/kinds.ts';
import { readyNode, startControlPlane } from './control-plane.ts';

it('a rollout goes on through restarts and lost pods', async () => {
  const plane = await startControlPlane({ node: 'n1', lagMs: 20 });
  try {
    await plane.create(Deployment, {
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas: 6,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'c:0' }] } },
      },
    });
    const deployments = plane.admin.resource(Deployment).namespace('default');
    const pods = plane.admin.resource(Pod).namespace('default');
    for (let version = 1; version <= 5; version++) {
      await deployments.patch('web', { spec: { template: { spec: { containers: [{ name: 'c', image: `c:${version}` }] } } } }, { type: 'strategic' });
      await plane.settle(plane.world.random.int(100));
      const [pod] = await plane.list(Pod);
      if (pod) await pods.delete(pod.metadata.name);
      await plane.restart();
      await plane.settle(plane.world.random.int(200));
    }
    await plane.until('complete', async () => {
      const { status, metadata } = await deployments.get('web');
      return (
        status.observedGeneration === metadata.generation && status.availableReplicas === 6 && status.updatedReplicas === 6 && status.replicas === 6
      );
    });
    await plane.settle(5000);
    assert.deepEqual(
      (await plane.list(Pod)).map(({ spec }) => spec.containers[0]?.image),
      Array<string>(6).fill('c:5'),
    );
    const revisions = (await plane.list(ReplicaSet)).map(({ metadata }) => Number(metadata.annotations?.['deployment.kubernetes.io/revision']));
    assert.equal(new Set(revisions).size, revisions.length, `revisions ${revisions.join()}`);
  } finally {
    await plane.close();
  }
});

it('nodes keep their blocks of the pod network, and new ones get others', async () => {
  const plane = await startControlPlane();
  try {
    for (const name of ['a', 'b']) await plane.create(Node, readyNode(name, plane.world));
    await plane.settle();
    await plane.restart();
    await plane.create(Node, readyNode('c', plane.world));
    await plane.settle();
    const cidrs = (await plane.list(Node)).map(({ spec }) => spec.podCIDR ?? '');
    assert.deepEqual([...cidrs].sort(), ['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24']);
  } finally {
    await plane.close();
  }
});

it('nothing is left behind by controllers that ended', async () => {
  const plane = await startControlPlane({ node: 'n1' });
  await plane.create(Node, readyNode('a', plane.world));
  await plane.settle(30_000);
  await plane.close();
  assert.equal(plane.world.pendingTimers(), 0);
});
