/** Controllers whose caches lag behind what they wrote: nothing is made twice, nothing is deleted twice. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Deployment, EndpointSlice, Node, Pod, ReplicaSet, Service } from '../../src/api/kinds.ts';
import { readyNode, startControlPlane } from './control-plane.ts';

it('a lagging cache makes no controller do its work twice', async () => {
  const plane = await startControlPlane({ controllers: '*,-node-lifecycle-controller', node: 'n1', lagMs: 200 });
  try {
    // Endpoints are only those of nodes that there are.
    await plane.create(Node, readyNode('n1', plane.world));
    const made: string[] = [];
    const gone: string[] = [];
    plane.informers.of(Pod).subscribe({ added: (pod) => made.push(pod.metadata.name), deleted: (pod) => gone.push(pod.metadata.name) });
    await plane.create(Service, { metadata: { name: 'web', namespace: 'default' }, spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } });
    await plane.create(Deployment, {
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas: 7,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'c:1' }] } },
      },
    });
    const deployments = plane.admin.resource(Deployment).namespace('default');
    const available = (count: number) => async () => {
      const { status, metadata } = await deployments.get('web');
      return status.observedGeneration === metadata.generation && status.availableReplicas === count && status.replicas === count;
    };
    await plane.until('7 available', available(7));
    await plane.settle(5000);
    assert.equal(made.length, 7);

    await deployments.patch('web', { spec: { replicas: 3 } });
    await plane.until('3 available', available(3));
    await plane.settle(5000);
    assert.equal(gone.length, 4);
    assert.equal(made.length, 7);

    await deployments.patch('web', { spec: { template: { spec: { containers: [{ name: 'c', image: 'c:2' }] } } } }, { type: 'strategic' });
    await plane.settle(1000);
    await plane.until('rolled', available(3));
    await plane.settle(10_000);
    assert.equal(made.length, 10);
    assert.equal(gone.length, 7);
    assert.equal((await plane.list(ReplicaSet)).length, 2);
    const slices = (await plane.list(EndpointSlice)).filter(({ metadata }) => metadata.name.startsWith('web-'));
    assert.equal(slices.length, 1);
    assert.equal(slices[0]?.endpoints?.length, 3);
    assert.deepEqual(plane.complaints, []);
  } finally {
    await plane.close();
  }
});
