/** Devices from the claim to the bound pod: what is written where, and what happens when a device cannot be made ready. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { DeviceClass, Pod, ResourceClaim, ResourceSlice } from '../../src/api/kinds.ts';
import type { V1Device } from '../../src/api/types.ts';
import { type SchedulingPlane, startSchedulingPlane } from './running-scheduler.ts';

const driver = 'gpu.example.com';
let plane: SchedulingPlane;

beforeEach(async () => {
  plane = await startSchedulingPlane();
  await plane.addNode('a');
});
afterEach(() => plane.close());

async function offer(device: Partial<V1Device> = {}, extendedResourceName?: string): Promise<void> {
  await plane.create(DeviceClass, { metadata: { name: 'gpu' }, spec: { ...(extendedResourceName !== undefined && { extendedResourceName }) } });
  await plane.create(ResourceSlice, {
    metadata: { name: 'a-gpus' },
    spec: { driver, nodeName: 'a', pool: { name: 'a', generation: 1, resourceSliceCount: 1 }, devices: [{ name: 'g0', ...device }] },
  });
  await plane.settle();
}

const gpu = { 'example.com/gpu': '1' };
const asking = { containers: [{ name: 'main', image: 'app', resources: { requests: gpu, limits: gpu } }] };

test('an extended resource that a class stands for becomes a claim of the pod', async () => {
  await offer({}, 'example.com/gpu');
  const pod = await plane.addPod('p', asking);
  assert.equal(await plane.scheduled('p'), 'a');
  const { extendedResourceClaimStatus } = (await plane.get(Pod, 'p')).status;
  assert.deepEqual(extendedResourceClaimStatus?.requestMappings, [
    { containerName: 'main', resourceName: 'example.com/gpu', requestName: 'container-0-request-0' },
  ]);
  const claim = await plane.get(ResourceClaim, extendedResourceClaimStatus?.resourceClaimName ?? '');
  assert.match(claim.metadata.name, /^p-extended-resources-/);
  assert.equal(claim.metadata.ownerReferences?.[0]?.uid, pod.metadata.uid);
  assert.deepEqual(claim.metadata.finalizers, ['resource.kubernetes.io/delete-protection']);
  assert.deepEqual(claim.status?.reservedFor, [{ resource: 'pods', name: 'p', uid: pod.metadata.uid }]);
  assert.equal(claim.status?.allocation?.devices?.results?.[0]?.device, 'g0');

  await plane.addPod('q', asking);
  assert.match(await plane.refused('q'), /1 cannot allocate all claims/);
});

for (const [name, condition, outcome] of [
  ['ready', 'Attached', 'bound'],
  ['broken', 'Broken', 'refused'],
] as const) {
  test(`a pod waits for its device: ${name}`, async () => {
    await offer({ bindingConditions: ['Attached'], bindingFailureConditions: ['Broken'] });
    await plane.create(ResourceClaim, {
      metadata: { name: 'c', namespace: 'default' },
      spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu' } }] } },
    });
    await plane.addPod('p', { resourceClaims: [{ name: 'c', resourceClaimName: 'c' }] });
    await plane.until('the claim is allocated', async () => (await plane.get(ResourceClaim, 'c')).status?.allocation !== undefined);
    assert.equal(await plane.nodeOf('p'), undefined);
    const claim = await plane.get(ResourceClaim, 'c');
    const lastTransitionTime = claim.status?.allocation?.allocationTimestamp ?? '';
    const devices = [
      { driver, pool: 'a', device: 'g0', conditions: [{ type: condition, status: 'True', reason: 'Told', message: 'so', lastTransitionTime }] },
    ];
    await plane.admin
      .resource(ResourceClaim)
      .namespace('default')
      .updateStatus({ ...claim, status: { ...claim.status, devices } });
    if (outcome === 'bound') assert.equal(await plane.scheduled('p'), 'a');
    else await plane.event('FailedScheduling', /claim c binding failed: reason=Told, message="so"/);
  });
}
