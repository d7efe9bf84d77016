/** The scheduler at work on a real API server in memory: what it writes on pods, and when it tries again. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Event, Node, Pod } from '../../src/api/kinds.ts';
import type { V1PodSpec } from '../../src/api/types.ts';
import { createEventRecorder } from '../../src/client/events.ts';
import { type Scheduler, startScheduler } from '../../src/scheduler/scheduler.ts';
import { type ControlPlane, startControlPlane } from '../controllers/control-plane.ts';

let plane: ControlPlane;
let scheduler: Scheduler;
before(async () => {
  plane = await startControlPlane({ controllers: 'serviceaccount-controller' });
  const events = createEventRecorder(plane.admin, plane.world, { component: 'default-scheduler' });
  scheduler = startScheduler({ world: plane.world, client: plane.admin, informers: plane.informers, events });
  await plane.settle();
});
after(async () => {
  scheduler.close();
  await plane.close();
});

async function addNode(name: string, cpu = '2'): Promise<void> {
  const capacity = { cpu, memory: '4Gi', pods: '110' };
  await plane.create(Node, { metadata: { name }, spec: {}, status: { capacity, allocatable: capacity } });
  // A new node is tainted not-ready until the node lifecycle controller has seen it; there is none here.
  await plane.admin.resource(Node).patch(name, { spec: { taints: null } });
}

async function addPod(name: string, spec: Partial<V1PodSpec> = {}, cpu = '100m'): Promise<void> {
  const containers = [{ name: 'main', image: 'app', resources: { requests: { cpu } } }];
  await plane.create(Pod, { metadata: { name, namespace: 'default' }, spec: { containers, ...spec } });
}

const nodeOf = async (name: string): Promise<string | undefined> => (await plane.get(Pod, name)).spec.nodeName;
const scheduled = (name: string): Promise<void> => plane.until(`${name} has a node`, async () => (await nodeOf(name)) !== undefined);

test('a pod waits for a node, says why, and gets one as soon as there is one', async () => {
  await addPod('early');
  await plane.until('the pod says why it waits', async () => {
    const condition = (await plane.get(Pod, 'early')).status.conditions?.find(({ type }) => type === 'PodScheduled');
    return condition?.status === 'False' && condition.reason === 'Unschedulable' && condition.message === 'no nodes available to schedule pods';
  });
  await addNode('a');
  await scheduled('early');
  assert.equal(await nodeOf('early'), 'a');
  await plane.until('the event is written', async () => {
    const events = await plane.list(Event);
    return events.some(({ reason, message }) => reason === 'Scheduled' && message === 'Successfully assigned default/early to a');
  });
});

test('a pod too large waits until another goes', async () => {
  await addPod('large', {}, '1500m');
  await scheduled('large');
  await addPod('next', {}, '1500m');
  await plane.until('the event says what is short', async () => {
    const events = await plane.list(Event);
    return events.some(
      ({ reason, message }) => reason === 'FailedScheduling' && message?.startsWith('0/1 nodes are available: 1 Insufficient cpu. '),
    );
  });
  await plane.admin.resource(Pod).namespace('default').delete('large', { gracePeriodSeconds: 0 });
  await scheduled('next');
});

test('a cordoned node takes pods again once uncordoned', async () => {
  await plane.admin.resource(Node).patch('a', { spec: { unschedulable: true } });
  await addPod('patient');
  await plane.settle(2_000);
  assert.equal(await nodeOf('patient'), undefined);
  await plane.admin.resource(Node).patch('a', { spec: { unschedulable: null } });
  await scheduled('patient');
});

test('a gated pod is scheduled when its last gate is removed', async () => {
  await addPod('gated', { schedulingGates: [{ name: 'example.com/wait' }] });
  await plane.until('the pod says it is held', async () => {
    const condition = (await plane.get(Pod, 'gated')).status.conditions?.find(({ type }) => type === 'PodScheduled');
    return condition?.reason === 'SchedulingGated';
  });
  await plane.admin
    .resource(Pod)
    .namespace('default')
    .patch('gated', { spec: { schedulingGates: [] } });
  await scheduled('gated');
});

test("another scheduler's pods are left alone", async () => {
  await addPod('foreign', { schedulerName: 'other' });
  await addPod('own');
  await scheduled('own');
  assert.equal(await nodeOf('foreign'), undefined);
});

test('many pods at once never overfill a node', async () => {
  await addNode('b', '10');
  const names = Array.from({ length: 150 }, (_, index) => `many-${index}`);
  await Promise.all(names.map((name) => addPod(name, { nodeSelector: {} }, '100m')));
  await plane.settle(20_000);
  const pods = await plane.list(Pod);
  for (const [node, milli] of [
    ['a', 2000],
    ['b', 10_000],
  ] as const) {
    const used = pods
      .filter(({ spec }) => spec.nodeName === node)
      .map(({ spec }) => spec.containers[0]?.resources?.requests?.['cpu'] ?? '0')
      .reduce((sum, cpu) => sum + Number(cpu.replace('m', '')), 0);
    assert(used <= milli, `${node} has ${used} of ${milli}`);
  }
  assert(pods.filter(({ spec }) => spec.nodeName === 'b').length >= 95, 'the large node is used');
});
