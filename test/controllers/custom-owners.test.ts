/** Custom kinds and other servers' kinds as controllers meet them: budgets over them, quotas that count them, namespaces that hold them. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { APIService, CustomResourceDefinition, Namespace, Node, Pod, PodDisruptionBudget, ResourceQuota } from '../../src/api/kinds.ts';
import type { Draft } from '../../src/machinery/object.ts';
import { timestamp } from '../../src/world/world.ts';
import { type ControlPlane, notFound, readyNode, startControlPlane } from './control-plane.ts';

const group = 'example.com';
const fleet: Draft<CustomResourceDefinition> = {
  metadata: { name: `fleets.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural: 'fleets', singular: 'fleet', kind: 'Fleet', listKind: 'FleetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { replicas: { type: 'integer' } } },
              status: { type: 'object', properties: { replicas: { type: 'integer' } } },
            },
          },
        },
        subresources: { scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } },
      },
    ],
  },
};

describe('custom kinds', () => {
  let plane: ControlPlane;
  beforeEach(async () => {
    plane = await startControlPlane({ node: 'n1', controllers: '*,-node-lifecycle-controller' });
    await plane.create(Node, readyNode('n1', plane.world));
    await plane.create(CustomResourceDefinition, fleet);
    await plane.settle(1000);
  });
  afterEach(() => plane.close());

  const path = `/apis/${group}/v1/namespaces/default/fleets`;
  async function makeFleet(name: string, replicas: number): Promise<string> {
    const body = { apiVersion: `${group}/v1`, kind: 'Fleet', metadata: { name }, spec: { replicas } };
    const made = (await plane.admin.transport.request({ method: 'POST', path, body })) as { metadata: { uid: string } };
    return made.metadata.uid;
  }

  it('are asked for their scale by budgets over their pods', async () => {
    const uid = await makeFleet('f', 4);
    const ownerReferences = [{ apiVersion: `${group}/v1`, kind: 'Fleet', name: 'f', uid, controller: true }];
    for (const i of [1, 2, 3, 4]) {
      const metadata = { name: `p${i}`, namespace: 'default', labels: { app: 'f' }, ownerReferences };
      await plane.create(Pod, { metadata, spec: { containers: [{ name: 'c', image: 'c' }] } });
    }
    await plane.create(PodDisruptionBudget, {
      metadata: { name: 'b', namespace: 'default' },
      spec: { minAvailable: '50%', selector: { matchLabels: { app: 'f' } } },
    });
    await plane.settle(1000);
    const { status } = await plane.get(PodDisruptionBudget, 'b');
    assert.deepEqual([status.expectedPods, status.desiredHealthy, status.disruptionsAllowed], [4, 2, 2]);
  });

  it('are counted by quotas, and counted again as soon as one goes', async () => {
    const name = `count/fleets.${group}`;
    await plane.create(ResourceQuota, { metadata: { name: 'q', namespace: 'default' }, spec: { hard: { [name]: '2' } } });
    await plane.settle(1000);
    const used = async () => (await plane.get(ResourceQuota, 'q')).status.used?.[name];
    await makeFleet('a', 1);
    await makeFleet('b', 1);
    await plane.settle(1000);
    assert.equal(await used(), '2');
    await assert.rejects(makeFleet('c', 1), /exceeded quota/);
    await plane.admin.transport.request({ method: 'DELETE', path: `${path}/a` });
    await plane.settle(1000);
    assert.equal(await used(), '1');
  });

  it('go with their namespace; while nobody answers for a group, the namespace says so and stays', async () => {
    await plane.create(Namespace, { metadata: { name: 'team' }, spec: {} });
    await plane.admin.transport.request({
      method: 'POST',
      path: `/apis/${group}/v1/namespaces/team/fleets`,
      body: { apiVersion: `${group}/v1`, kind: 'Fleet', metadata: { name: 'f' }, spec: { replicas: 1 } },
    });
    await plane.create(APIService, {
      metadata: { name: 'v1.elsewhere.example.com' },
      spec: {
        group: 'elsewhere.example.com',
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 10,
        insecureSkipTLSVerify: true,
        service: { namespace: 'default', name: 'nobody' },
      },
    });
    await plane.settle(1000);
    await plane.admin.resource(Namespace).delete('team');
    await plane.settle(2000);
    const condition = (await plane.get(Namespace, 'team')).status.conditions?.find(({ type }) => type === 'NamespaceDeletionDiscoveryFailure');
    assert.deepEqual([condition?.status, condition?.reason], ['True', 'DiscoveryFailed']);
    assert.match(condition?.message ?? '', /^Discovery failed for some groups, 1 failing: .*elsewhere\.example\.com\/v1/);
    await plane.admin.resource(APIService).delete('v1.elsewhere.example.com');
    await plane.until('the namespace is gone', () => notFound(plane.get(Namespace, 'team')), 60_000);
  });
});

describe('a pod', () => {
  let plane: ControlPlane;
  beforeEach(async () => {
    plane = await startControlPlane({ node: 'n1', controllers: '*,-node-lifecycle-controller' });
  });
  afterEach(() => plane.close());
  const container = { containers: [{ name: 'c', image: 'c' }] };

  it('that was to be disrupted and was not is no longer said to be after two minutes', async () => {
    await plane.create(Node, readyNode('n1', plane.world));
    await plane.create(Pod, { metadata: { name: 'p', namespace: 'default' }, spec: container });
    await plane.settle();
    const now = timestamp(plane.world.clock.now());
    const mark = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'EvictionByEvictionAPI',
      message: 'Eviction API: evicting',
      lastTransitionTime: now,
    };
    const pods = plane.admin.resource(Pod).namespace('default');
    await pods.patch('p', { status: { conditions: [mark] } }, { type: 'strategic', subresource: 'status' });
    const marked = async () => (await pods.get('p')).status.conditions?.find(({ type }) => type === 'DisruptionTarget')?.status;
    await plane.settle(110_000);
    assert.equal(await marked(), 'True');
    await plane.settle(15_000);
    assert.equal(await marked(), 'False');
  });

  it('that is leaving a node out of service is taken for failed, and gone', async () => {
    const draft = readyNode('away', plane.world);
    const taints = [{ key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' }];
    const conditions = [{ type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown', message: '' }];
    await plane.create(Node, { ...draft, spec: { taints }, status: { conditions } });
    const finalizers = ['example.com/looks-on'];
    await plane.create(Pod, { metadata: { name: 'p', namespace: 'default', finalizers }, spec: { ...container, nodeName: 'away' } });
    // Nobody is there to end it: the taint has it deleted, the collector has it gone.
    await plane.until('it failed', async () => (await plane.get(Pod, 'p')).status.phase === 'Failed');
    await plane.admin
      .resource(Pod)
      .namespace('default')
      .patch('p', { metadata: { finalizers: null } });
    await plane.until('it is gone', () => notFound(plane.get(Pod, 'p')));
  });
});
