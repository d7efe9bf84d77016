/** Pods whose devices are tainted, against the API server. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Event, Node, Pod, ResourceClaim, ResourceSlice } from '../../src/api/kinds.ts';
import type { V1DeviceTaint, V1DeviceToleration } from '../../src/api/types.ts';
import { timestamp } from '../../src/world/world.ts';
import { type ControlPlane, notFound, readyNode, startControlPlane } from './control-plane.ts';

const driver = 'gpu.example.com';

describe('a device that gets a NoExecute taint', () => {
  let plane: ControlPlane;
  beforeEach(async () => {
    plane = await startControlPlane({ node: 'n1', controllers: '*,-node-lifecycle-controller' });
    await plane.create(Node, readyNode('n1', plane.world));
    await plane.create(ResourceSlice, {
      metadata: { name: 'gpus' },
      spec: {
        driver,
        nodeName: 'n1',
        pool: { name: 'n1', generation: 1, resourceSliceCount: 1 },
        devices: ['a', 'b', 'c', 'd'].map((name) => ({ name })),
      },
    });
  });
  afterEach(() => plane.close());

  /** A pod that runs with the device of its own name, as scheduler and kubelet leave it. */
  async function user(name: string, tolerations: V1DeviceToleration[] = []): Promise<void> {
    const claims = plane.admin.resource(ResourceClaim).namespace('default');
    const claim = await plane.create(ResourceClaim, {
      metadata: { name, namespace: 'default' },
      spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', tolerations } }] } },
    });
    const pod = await plane.create(Pod, {
      metadata: { name, namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'c' }], resourceClaims: [{ name: 'gpu', resourceClaimName: name }] },
    });
    const results = [{ request: 'r', driver, pool: 'n1', device: name, tolerations }];
    const reservedFor = [{ resource: 'pods', name, uid: pod.metadata.uid }];
    await claims.updateStatus({ ...claim, status: { allocation: { devices: { results } }, reservedFor } });
  }

  async function taint(...names: string[]): Promise<void> {
    const slices = plane.admin.resource(ResourceSlice);
    const slice = await slices.get('gpus');
    const sick: V1DeviceTaint = { key: 'sick', effect: 'NoExecute' };
    const devices = (slice.spec.devices ?? []).map(({ name }) => ({ name, ...(names.includes(name) && { taints: [sick] }) }));
    await slices.update({ ...slice, spec: { ...slice.spec, devices } });
  }

  const isGone = (name: string): Promise<boolean> => notFound(plane.get(Pod, name));

  it('loses the pods that do not tolerate it, now or later; those of other devices stay', async () => {
    const disrupted: unknown[] = [];
    plane.informers.of(Pod).subscribe({
      updated: ({ metadata, status }) =>
        disrupted.push(...(status.conditions ?? []).filter(({ type }) => type === 'DisruptionTarget').map(({ reason }) => [metadata.name, reason])),
    });
    await user('a');
    await user('b', [{ key: 'sick', operator: 'Exists', tolerationSeconds: 60 }]);
    await user('c', [{ operator: 'Exists' }]);
    await user('d');
    await plane.settle();
    await taint('a', 'b', 'c');
    await plane.settle();
    assert.deepEqual([await isGone('a'), await isGone('b'), await isGone('c'), await isGone('d')], [true, false, false, false]);
    assert.deepEqual(disrupted[0], ['a', 'DeletionByDeviceTaintManager']);
    const events = (await plane.list(Event)).filter(({ reason }) => reason === 'DeviceTaintManagerEviction');
    assert.deepEqual(
      events.map(({ involvedObject, message }) => [involvedObject.name, message]),
      [['a', 'Marking for deletion']],
    );
    await plane.settle(61_000);
    assert.deepEqual([await isGone('b'), await isGone('c'), await isGone('d')], [true, false, false]);
    assert.deepEqual(plane.complaints, []);
  });

  it('says since when it has it, also when its driver publishes it again without saying so', async () => {
    const since = async () => (await plane.admin.resource(ResourceSlice).get('gpus')).spec.devices?.map(({ taints }) => taints?.[0]?.timeAdded);
    const first = timestamp(plane.world.clock.now());
    await taint('a');
    await plane.settle(10_000);
    await taint('a', 'b');
    assert.deepEqual(await since(), [first, timestamp(plane.world.clock.now()), undefined, undefined]);
  });

  it('that recovers in time keeps them', async () => {
    await user('b', [{ key: 'sick', operator: 'Exists', tolerationSeconds: 60 }]);
    await plane.settle();
    await taint('b');
    await plane.settle(30_000);
    await taint();
    await plane.settle(120_000);
    assert.equal(await isGone('b'), false);
    const events = (await plane.list(Event)).filter(({ reason }) => reason === 'DeviceTaintManagerEviction');
    assert.deepEqual(
      events.map(({ message }) => message),
      ['Cancelling deletion'],
    );
  });
});
