/** What takes more than one decision: preemption, volumes, devices, permission, rollback, profiles and extenders. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  DeviceClass,
  Event,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PriorityClass,
  ResourceClaim,
  ResourceSlice,
  StorageClass,
} from '../../src/api/kinds.ts';
import type { PluginDefinition } from '../../src/scheduler/plugin.ts';
import { defaultPlugins } from '../../src/scheduler/plugins.ts';
import { type SchedulingPlane, startSchedulingPlane } from './running-scheduler.ts';

async function withPlane(options: Parameters<typeof startSchedulingPlane>[0], run: (plane: SchedulingPlane) => Promise<void>): Promise<void> {
  const plane = await startSchedulingPlane(options);
  try {
    await run(plane);
  } finally {
    await plane.close();
  }
}

const priorityClasses = async (plane: SchedulingPlane): Promise<void> => {
  for (const [name, value] of [
    ['low', 1],
    ['high', 1000],
  ] as const)
    await plane.create(PriorityClass, { metadata: { name }, value });
};

test('a more important pod takes the place of a less important one', () =>
  withPlane({}, async (plane) => {
    await priorityClasses(plane);
    await plane.addNode('a');
    await plane.addPod('victim', { priorityClassName: 'low' }, { cpu: '1500m' });
    await plane.scheduled('victim');
    await plane.addPod('important', { priorityClassName: 'high' }, { cpu: '1' });
    await plane.until('the victim is on its way', async () => (await plane.get(Pod, 'victim')).metadata.deletionTimestamp !== undefined);
    const victim = await plane.get(Pod, 'victim');
    const condition = victim.status.conditions?.find(({ type }) => type === 'DisruptionTarget');
    assert.equal(condition?.reason, 'PreemptionByScheduler');
    assert.equal(condition.observedGeneration, 1);
    assert.equal(condition?.message, 'default-scheduler: preempting to accommodate a higher priority pod');
    const waiting = await plane.get(Pod, 'important');
    assert.equal(waiting.status.nominatedNodeName, 'a');
    await plane.event('Preempted', new RegExp(`^Preempted by pod ${waiting.metadata.uid} on node a$`));
    // Room that is being made is nobody else's.
    await plane.addPod('sneaky', {}, { cpu: '1' });
    await plane.refused('sneaky');
    await plane.admin.resource(Pod).namespace('default').delete('victim', { gracePeriodSeconds: 0 });
    assert.equal(await plane.scheduled('important'), 'a');
    assert.equal(await plane.nodeOf('sneaky'), undefined);
    assert.deepEqual(plane.complaints, []);
  }));

test('a disruption budget turns preemption to another node', () =>
  withPlane({}, async (plane) => {
    await priorityClasses(plane);
    await plane.addNode('a');
    await plane.addNode('b');
    await plane.addPod('guarded', { priorityClassName: 'low', nodeSelector: { 'kubernetes.io/hostname': 'a' } }, { cpu: '2' }, { app: 'guarded' });
    await plane.addPod('free', { priorityClassName: 'low', nodeSelector: { 'kubernetes.io/hostname': 'b' } }, { cpu: '2' });
    await plane.scheduled('guarded');
    await plane.scheduled('free');
    await plane.create(PodDisruptionBudget, {
      metadata: { name: 'pdb', namespace: 'default' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'guarded' } } },
    });
    await plane.settle();
    await plane.addPod('important', { priorityClassName: 'high' }, { cpu: '1' });
    await plane.until('the free pod is on its way', async () => (await plane.get(Pod, 'free')).metadata.deletionTimestamp !== undefined);
    assert.equal((await plane.get(Pod, 'guarded')).metadata.deletionTimestamp, undefined);
  }));

test('a pod that never preempts waits, and says so', () =>
  withPlane({}, async (plane) => {
    await priorityClasses(plane);
    await plane.create(PriorityClass, { metadata: { name: 'polite' }, value: 1000, preemptionPolicy: 'Never' });
    await plane.addNode('a');
    await plane.addPod('victim', { priorityClassName: 'low' }, { cpu: '2' });
    await plane.scheduled('victim');
    await plane.addPod('polite', { priorityClassName: 'polite' }, { cpu: '1' });
    assert.match(await plane.refused('polite'), /preemption: not eligible due to preemptionPolicy=Never\.$/);
    assert.equal((await plane.get(Pod, 'victim')).metadata.deletionTimestamp, undefined);
  }));

test('a claim that waits for its pod is bound to a volume on the node, before the pod is', () =>
  withPlane({}, async (plane) => {
    await plane.addNode('a');
    await plane.addNode('b');
    await plane.create(StorageClass, {
      metadata: { name: 'local' },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    });
    const nodeSelectorTerms = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['b'] }] }];
    await plane.create(PersistentVolume, {
      metadata: { name: 'disk' },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'local',
        local: { path: '/disk' },
        nodeAffinity: { required: { nodeSelectorTerms } },
      },
    });
    // What the volume controller says of a free volume.
    await plane.admin.resource(PersistentVolume).patch('disk', { status: { phase: 'Available' } }, { subresource: 'status' });
    await plane.create(PersistentVolumeClaim, {
      metadata: { name: 'data', namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'local', resources: { requests: { storage: '1Gi' } } },
    });
    await plane.settle();
    await plane.addPod('p', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] });
    await plane.until('the volume is set aside', async () => (await plane.get(PersistentVolume, 'disk')).spec.claimRef?.name === 'data');
    assert.equal(await plane.nodeOf('p'), undefined, 'not before the claim is bound');
    // What the volume controller does.
    await plane.admin
      .resource(PersistentVolumeClaim)
      .namespace('default')
      .patch('data', { metadata: { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } }, spec: { volumeName: 'disk' } });
    assert.equal(await plane.scheduled('p'), 'b');
  }));

test('a provisioner is told the node', () =>
  withPlane({}, async (plane) => {
    await plane.addNode('a');
    await plane.create(StorageClass, { metadata: { name: 'late' }, provisioner: 'csi.example.com', volumeBindingMode: 'WaitForFirstConsumer' });
    await plane.create(PersistentVolumeClaim, {
      metadata: { name: 'data', namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'late', resources: { requests: { storage: '1Gi' } } },
    });
    await plane.settle();
    await plane.addPod('p', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] });
    await plane.until('the node is asked for', async () => {
      const { metadata } = await plane.get(PersistentVolumeClaim, 'data');
      return metadata.annotations?.['volume.kubernetes.io/selected-node'] === 'a';
    });
    assert.equal(await plane.nodeOf('p'), undefined);
  }));

test('devices are allocated and reserved before the pod is bound, and never twice', () =>
  withPlane({}, async (plane) => {
    await plane.addNode('a');
    const driver = 'gpu.example.com';
    await plane.create(DeviceClass, { metadata: { name: 'gpu' }, spec: { selectors: [{ cel: { expression: `device.driver == "${driver}"` } }] } });
    const pool = { name: 'a', generation: 1, resourceSliceCount: 1 };
    await plane.create(ResourceSlice, { metadata: { name: 'slice' }, spec: { driver, nodeName: 'a', pool, devices: [{ name: 'g0' }] } });
    for (const name of ['one', 'two']) {
      await plane.create(ResourceClaim, {
        metadata: { name, namespace: 'default' },
        spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu' } }] } },
      });
    }
    await plane.settle();
    await plane.addPod('first', { resourceClaims: [{ name: 'c', resourceClaimName: 'one' }] });
    await plane.addPod('second', { resourceClaims: [{ name: 'c', resourceClaimName: 'two' }] });
    assert.equal(await plane.scheduled('first'), 'a');
    assert.match(await plane.refused('second'), /1 cannot allocate all claims\. still not schedulable/);
    const { status } = await plane.get(ResourceClaim, 'one');
    assert.deepEqual(status?.allocation?.devices?.results, [{ request: 'r', driver, pool: 'a', device: 'g0' }]);
    assert.equal(status?.reservedFor?.[0]?.name, 'first');
    assert.equal((await plane.get(ResourceClaim, 'two')).status?.allocation, undefined);
  }));

test('a binding the server refuses is taken back, and tried again', async () => {
  let refusals = 2;
  const flaky: PluginDefinition = {
    name: 'Flaky',
    create: () => ({
      name: 'Flaky',
      hints: [],
      preBind: () => (refusals-- > 0 ? Promise.reject(new Error('not today')) : Promise.resolve()),
    }),
  };
  await withPlane({ plugins: [...defaultPlugins, flaky] }, async (plane) => {
    await plane.addNode('a');
    await plane.addPod('p', {}, { cpu: '2' });
    assert.match(await plane.refused('p', 'SchedulerError'), /not today/);
    assert.equal(await plane.scheduled('p'), 'a');
    await plane.addPod('q', {}, { cpu: '1' });
    assert.match(await plane.refused('q'), /Insufficient cpu/);
  });
});

test('permission: a pod waits until a plugin lets it go, and gives its place back when it does not', async () => {
  const asked: string[] = [];
  const gate: PluginDefinition = {
    name: 'Gate',
    create: (_, { waiting }) => ({
      name: 'Gate',
      permit(pod) {
        const { name } = pod.pod.metadata;
        asked.push(name);
        if (name === 'key') waiting.allow('default/locked', 'Gate');
        return name === 'locked' ? { waitMs: 10_000 } : 'allow';
      },
    }),
  };
  await withPlane({ plugins: [...defaultPlugins, gate] }, async (plane) => {
    await plane.addNode('a');
    await plane.addPod('locked', {}, { cpu: '2' });
    await plane.until('it was asked for', async () => asked.includes('locked'));
    await plane.settle(5_000);
    assert.equal(await plane.nodeOf('locked'), undefined);
    assert.match(await plane.refused('locked'), /rejected due to timeout after waiting 10000ms at plugin Gate/);
    await plane.addPod('key', {}, {});
    assert.equal(await plane.scheduled('key'), 'a');
    assert.equal(await plane.scheduled('locked'), 'a');
  });
});

test('profiles: each scheduler name has its own plugins', () =>
  withPlane(
    {
      configuration: {
        profiles: [
          { schedulerName: 'default-scheduler' },
          { schedulerName: 'packer', pluginConfig: [{ name: 'NodeResourcesFit', args: { scoringStrategy: { type: 'MostAllocated' } } }] },
          { schedulerName: 'blind', plugins: { multiPoint: { disabled: [{ name: 'TaintToleration' }] } } },
        ],
      },
    },
    async (plane) => {
      await plane.addNode('a');
      await plane.addNode('b');
      await plane.addPod('first', { nodeSelector: { 'kubernetes.io/hostname': 'a' } }, { cpu: '1', memory: '2Gi' });
      await plane.scheduled('first');
      await plane.addPod('spread', {}, { cpu: '100m', memory: '100Mi' });
      await plane.addPod('packed', { schedulerName: 'packer' }, { cpu: '100m', memory: '200Mi' });
      assert.equal(await plane.scheduled('spread'), 'b');
      assert.equal(await plane.scheduled('packed'), 'a');
      for (const name of ['a', 'b']) await plane.admin.resource(Node).patch(name, { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } });
      await plane.settle();
      await plane.addPod('sighted');
      await plane.addPod('blind', { schedulerName: 'blind' });
      assert.match(await plane.refused('sighted'), /^0\/2 nodes are available: 2 node\(s\) had untolerated taint\(s\)\./);
      await plane.scheduled('blind');
      await plane.until('each speaks under its own name', async () => {
        const sources = (await plane.list(Event))
          .filter(({ reason }) => reason === 'Scheduled')
          .map(({ involvedObject, source }) => `${involvedObject.name} ${source?.component}`);
        return ['spread default-scheduler', 'packed packer', 'blind blind'].every((one) => sources.includes(one));
      });
    },
  ));

test('an extender filters, prefers and binds', async () => {
  const bound: unknown[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      if (request.url === '/x/filter') response.end(JSON.stringify({ nodenames: ['b', 'c'], failedNodes: { a: 'the extender does not like a' } }));
      else if (request.url === '/x/prioritize') response.end(JSON.stringify([{ host: 'c', score: 10 }]));
      else {
        bound.push(body);
        response.end(JSON.stringify({}));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const extender = {
    urlPrefix: `http://127.0.0.1:${port}/x`,
    filterVerb: 'filter',
    prioritizeVerb: 'prioritize',
    bindVerb: 'bind',
    weight: 5,
    nodeCacheCapable: true,
  };
  try {
    await withPlane({ configuration: { extenders: [extender] } }, async (plane) => {
      for (const name of ['a', 'b', 'c']) await plane.addNode(name);
      const { metadata } = await plane.addPod('p');
      // The extender is a real server: its answers come in real time.
      while (bound.length === 0) {
        await plane.settle();
        await pause(5);
      }
      assert.deepEqual(bound, [{ podName: 'p', podNamespace: 'default', podUID: metadata.uid, node: 'c' }]);
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('explanations: every plugin on every node, for pods that wait and pods that do not', () =>
  withPlane({}, async (plane) => {
    await plane.addNode('a');
    await plane.addNode('b', { cpu: '8' });
    await plane.admin.resource(Node).patch('a', { spec: { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] } });
    await plane.addPod('p', {}, { cpu: '4' });
    await plane.scheduled('p');
    await plane.settle();
    const placed = plane.scheduler.explain('default', 'p');
    assert.equal(placed?.assignedNode, 'b');
    assert.equal(placed?.chosenNode, 'b');
    const [onA, onB] = placed?.nodes ?? [];
    assert.deepEqual(
      onA?.verdicts.filter(({ verdict }) => verdict === 'refuses').map(({ plugin, reasons, detail }) => ({ plugin, reasons, detail })),
      [
        { plugin: 'TaintToleration', reasons: ['node(s) had untolerated taint(s)'], detail: 'untolerated taint {k: v} with effect NoSchedule' },
        { plugin: 'NodeResourcesFit', reasons: ['Insufficient cpu'], detail: 'cpu: 4000m asked for, 2000m of 2000m left' },
      ],
    );
    assert.equal(onB?.fits, true);
    assert(onB?.scores?.some(({ plugin, weight }) => plugin === 'NodeResourcesFit' && weight === 1));
    await plane.addPod('q', {}, { cpu: '6' });
    const message = await plane.refused('q');
    const waiting = plane.scheduler.explain('default', 'q');
    assert.equal(waiting?.message, message);
    assert.deepEqual(
      waiting?.nodes.map(({ fits }) => fits),
      [false, false],
    );
    assert(waiting?.nodes[1]?.verdicts.some(({ wouldHelp }) => wouldHelp?.includes('AssignedPodDelete')));
    assert.equal(plane.scheduler.explain('default', 'nobody'), undefined);
  }));
