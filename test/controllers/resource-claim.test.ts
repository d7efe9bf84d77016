/** Resource claims of pods against the API server: made from templates, given back when the pod is over. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Pod, ResourceClaim, ResourceClaimTemplate } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { type ControlPlane, notFound, startControlPlane } from './control-plane.ts';

const finalizer = 'resource.kubernetes.io/delete-protection';
const devices = { requests: [{ name: 'gpu', exactly: { deviceClassName: 'gpu' } }] };
const template: Draft<ResourceClaimTemplate> = {
  metadata: { name: 'one-gpu', namespace: 'default' },
  spec: { metadata: { labels: { team: 'a' } }, spec: { devices } },
};

function pod(name: string, claim: { resourceClaimTemplateName: string } | { resourceClaimName: string }): Draft<Pod> {
  return {
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'c', resources: { claims: [{ name: 'gpu' }] } }], resourceClaims: [{ name: 'gpu', ...claim }] },
  };
}

describe('the claim a pod wants from a template', () => {
  let plane: ControlPlane;
  beforeEach(async () => {
    plane = await startControlPlane();
  });
  afterEach(() => plane.close());

  const statusesOf = async (name: string) => (await plane.get(Pod, name)).status.resourceClaimStatuses ?? [];
  /** As the scheduler does: devices found, the pod entered. */
  async function allocate(name: string, ...users: Pod[]): Promise<void> {
    const claims = plane.admin.resource(ResourceClaim).namespace('default');
    const protectedClaim = await claims.patch(name, { metadata: { finalizers: [finalizer] } });
    const reservedFor = users.map(({ metadata }) => ({ resource: 'pods', name: metadata.name, uid: metadata.uid }));
    await claims.updateStatus({ ...protectedClaim, status: { allocation: { devices: { results: [] } }, reservedFor } });
  }

  it('is made, belongs to the pod, and is written down in its status', async () => {
    await plane.create(ResourceClaimTemplate, template);
    const user = await plane.create(Pod, pod('user', { resourceClaimTemplateName: 'one-gpu' }));
    await plane.settle();
    const [claim, ...others] = await plane.list(ResourceClaim);
    assert.equal(others.length, 0);
    assert.match(claim?.metadata.name ?? '', /^user-gpu-/);
    assert.equal(claim?.metadata.annotations?.['resource.kubernetes.io/pod-claim-name'], 'gpu');
    assert.deepEqual(claim?.metadata.labels, { team: 'a' });
    assert.equal(claim?.metadata.ownerReferences?.[0]?.uid, user.metadata.uid);
    assert.deepEqual(await statusesOf('user'), [{ name: 'gpu', resourceClaimName: claim?.metadata.name }]);
    assert.deepEqual(plane.complaints, []);
  });

  it('is made once the template is there, and once only', async () => {
    await plane.create(Pod, pod('user', { resourceClaimTemplateName: 'one-gpu' }));
    await plane.settle(1000);
    assert.deepEqual(await statusesOf('user'), []);
    await plane.create(ResourceClaimTemplate, template);
    await plane.settle(1000);
    await plane.restart();
    assert.equal((await plane.list(ResourceClaim)).length, 1);
    assert.equal((await statusesOf('user')).length, 1);
  });

  it('goes when the pod has ended, with its devices', async () => {
    await plane.create(ResourceClaimTemplate, template);
    const user = await plane.create(Pod, pod('user', { resourceClaimTemplateName: 'one-gpu' }));
    await plane.settle();
    const name = (await statusesOf('user'))[0]?.resourceClaimName ?? '';
    await allocate(name, user);
    await plane.settle();
    assert.equal((await plane.get(ResourceClaim, name)).status?.reservedFor?.length, 1);
    await plane.admin
      .resource(Pod)
      .namespace('default')
      .patch('user', { status: { phase: 'Succeeded' } }, { subresource: 'status' });
    await plane.settle();
    assert.ok(await notFound(plane.get(ResourceClaim, name)));
  });

  it("is given back by each pod that is over, and a shared one's devices with the last", async () => {
    await plane.create(ResourceClaim, { metadata: { name: 'shared', namespace: 'default' }, spec: { devices } });
    const users = [
      await plane.create(Pod, pod('a', { resourceClaimName: 'shared' })),
      await plane.create(Pod, pod('b', { resourceClaimName: 'shared' })),
    ];
    await allocate('shared', ...users);
    await plane.settle();
    await plane.admin.resource(Pod).namespace('default').delete('a', { gracePeriodSeconds: 0 });
    await plane.settle();
    const after = await plane.get(ResourceClaim, 'shared');
    assert.deepEqual(
      after.status?.reservedFor?.map(({ name }) => name),
      ['b'],
    );
    assert.ok(after.status?.allocation);
    await plane.admin.resource(Pod).namespace('default').delete('b', { gracePeriodSeconds: 0 });
    await plane.settle();
    const free = await plane.get(ResourceClaim, 'shared');
    assert.deepEqual([free.status?.allocation, free.status?.reservedFor, free.metadata.finalizers], [undefined, undefined, undefined]);
  });
});
