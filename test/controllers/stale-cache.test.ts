/** Controllers whose caches lag behind what they wrote: nothing is made twice, nothing is deleted twice. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Kind } from '../../src/api/kind.ts';
import { DaemonSet, Deployment, EndpointSlice, Job, Node, Pod, ReplicaSet, Service } from '../../src/api/kinds.ts';
import type { ApiRequest, Transport } from '../../src/client/transport.ts';
import { ApiError } from '../../src/machinery/errors.ts';
import type { Draft, KubeObject } from '../../src/machinery/object.ts';
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

/** A line on which nothing is heard of pods while it is blind: watches end, lists fail. */
function blindable(transport: Transport, blind: { is: boolean }): Transport {
  const hides = ({ method, path }: ApiRequest): boolean => blind.is && method === 'GET' && path === '/api/v1/pods';
  const expired = (): ApiError => new ApiError('Expired', 'too old resource version', {});
  return {
    ...transport,
    request: (request) => (hides(request) ? Promise.reject(expired()) : transport.request(request)),
    async *watch(request) {
      for await (const event of transport.watch(request)) {
        if (hides(request)) throw expired();
        yield event;
      }
    },
    close: () => transport.close(),
  };
}

const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'c:1' }], tolerations: [{ operator: 'Exists' }] } };
const selector = { matchLabels: { app: 'web' } };
const metadata = { name: 'web', namespace: 'default' };
const makers: readonly (readonly [Kind<KubeObject>, Draft<KubeObject>])[] = [
  [ReplicaSet, { metadata, spec: { replicas: 1, selector, template } }],
  [DaemonSet, { metadata, spec: { selector, template } }],
  [Job, { metadata, spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } } } }],
].map(([kind, draft]) => [kind as Kind<KubeObject>, draft as Draft<KubeObject>]);

for (const [kind, draft] of makers) {
  for (const seen of [true, false]) {
    it(`a ${kind.kind} replaces a pod that is first seen ${seen ? 'on its way out' : 'when it is gone'}`, async () => {
      const blind = { is: false };
      const plane = await startControlPlane({ controllers: '*,-node-lifecycle-controller', decorate: (transport) => blindable(transport, blind) });
      const pods = plane.admin.resource(Pod).namespace('default');
      const names = async (): Promise<string[]> => (await pods.list()).items.map((pod) => pod.metadata.name);
      try {
        await plane.create(Node, readyNode('n1', plane.world));
        await plane.settle();
        blind.is = true;
        await plane.create(kind, draft);
        await plane.until('there is a pod', async () => (await names()).length === 1);
        const [first = ''] = await names();
        const target = { apiVersion: 'v1', kind: 'Node', name: 'n1' };
        await pods.createSubresource(first, 'binding', { apiVersion: 'v1', kind: 'Binding', metadata: { name: first }, target });
        const end = async (): Promise<void> => {
          await pods.patch(first, { metadata: { finalizers: null } });
          await pods.delete(first, { gracePeriodSeconds: 0 });
        };
        await pods.delete(first);
        if (!seen) await end();
        await plane.settle(1000);
        blind.is = false;
        await plane.settle(30_000);
        if (seen) await end();
        // What was never seen is waited for five minutes, and then no more.
        await plane.until('there is another', async () => (await names()).some((name) => name !== first), seen ? 60_000 : 360_000);
      } finally {
        await plane.close();
      }
    });
  }
}
