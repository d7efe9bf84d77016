/** Which event brings a refused pod back, and which does not: a hint too few and it waits for minutes, one too many and it is tried in vain. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, Pod } from '../api/kinds.ts';
import type { V1PodSpec } from '../api/types.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { type ClusterEvent, nodeEvents, waitingPodEvents } from './cluster-event.ts';
import { podInfo } from './pod-info.ts';
import { SchedulingQueue } from './queue.ts';
import { testNode, testPod } from './test-objects.ts';
import { testProfile } from './test-profile.ts';

const labelled = (pod: Pod, labels: Record<string, string>, namespace = 'default'): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, labels, namespace },
});
const other = (
  spec: Partial<V1PodSpec> = {},
  requests: Record<string, string> = {},
  labels: Record<string, string> = {},
  namespace = 'default',
): Pod => labelled(testPod('other', { nodeName: 'n', ...spec }, requests), labels, namespace);
const port = (hostPort: number): Partial<V1PodSpec> => ({ containers: [{ name: 'main', ports: [{ containerPort: 80, hostPort }] }] });
const term = { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'x' } } };
const near: Partial<V1PodSpec> = { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } };
const away: Partial<V1PodSpec> = { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } };
const spread: Partial<V1PodSpec> = {
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'x' } } }],
};
const event = (name: ClusterEvent['name'], object: ClusterEvent['object'] = testNode('n')): ClusterEvent => ({ name, object });

const cases: readonly (readonly [plugin: string, what: string, pod: Pod, event: ClusterEvent, helps: boolean])[] = [
  ['NodeResourcesFit', 'a pod that held CPU went', testPod('p', {}, { cpu: '1' }), event('AssignedPodDelete', other({}, { cpu: '1' })), true],
  ['NodeResourcesFit', 'a node grew', testPod('p'), event('NodeUpdateAllocatable'), true],
  ['NodeResourcesFit', 'a node was labelled', testPod('p'), event('NodeUpdateLabel'), false],
  ['NodeAffinity', 'a node was labelled', testPod('p'), event('NodeUpdateLabel'), true],
  ['NodeAffinity', 'a pod went', testPod('p'), event('AssignedPodDelete', other()), false],
  ['TaintToleration', 'a taint changed', testPod('p'), event('NodeUpdateTaint'), true],
  ['NodeUnschedulable', 'a node was uncordoned', testPod('p'), event('NodeUpdateUnschedulable'), true],
  ['NodePorts', 'a pod with the port went', testPod('p', port(80)), event('AssignedPodDelete', other(port(80))), true],
  ['NodePorts', 'a pod with another port went', testPod('p', port(80)), event('AssignedPodDelete', other(port(81))), false],
  ['InterPodAffinity', 'the neighbour came', testPod('p', near), event('AssignedPodAdd', other({}, {}, { app: 'x' })), true],
  ['InterPodAffinity', 'somebody else came', testPod('p', near), event('AssignedPodAdd', other({}, {}, { app: 'y' })), false],
  ['InterPodAffinity', 'who was avoided went', testPod('p', away), event('AssignedPodDelete', other({}, {}, { app: 'x' })), true],
  [
    'InterPodAffinity',
    'one like it in another namespace went',
    testPod('p', away),
    event('AssignedPodDelete', other({}, {}, { app: 'x' }, 'far')),
    false,
  ],
  ['InterPodAffinity', 'who did not want it near went', labelled(testPod('p'), { app: 'x' }), event('AssignedPodDelete', other(away)), true],
  ['PodTopologySpread', 'one that is counted went', testPod('p', spread), event('AssignedPodDelete', other({}, {}, { app: 'x' })), true],
  ['PodTopologySpread', 'one that is not counted came', testPod('p', spread), event('AssignedPodAdd', other({}, {}, { app: 'y' })), false],
  ['VolumeBinding', 'a claim of its namespace changed', testPod('p'), event('PersistentVolumeClaim', labelled(testPod('c'), {})), true],
  ['VolumeBinding', 'a volume came', testPod('p'), event('PersistentVolume'), true],
  ['DynamicResources', 'devices came', testPod('p'), event('ResourceSlice'), true],
  ['DynamicResources', 'a volume came', testPod('p'), event('PersistentVolume'), false],
];

for (const [plugin, what, pod, happened, helps] of cases) {
  test(`${plugin}: ${what} ${helps ? 'helps' : 'does not help'}`, () => {
    const profile = testProfile();
    const queue = new SchedulingQueue({ profileOf: () => profile, compare: () => 0, clock: simulatedWorld(1).clock, onReady: () => undefined });
    queue.put(podInfo(pod));
    queue.pop();
    queue.refused('default/p', new Set([plugin]));
    queue.happened(happened);
    assert.equal(queue.pop() !== undefined, helps);
    queue.close();
  });
}

test('a heartbeat is no event', () => {
  const node = testNode('n');
  const later: Node = {
    ...node,
    status: { ...node.status, conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: '2026-01-02T00:00:00Z' }] },
  };
  assert.deepEqual(nodeEvents(later, node), []);
  assert.deepEqual(nodeEvents({ ...node, spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } }, node), ['NodeUpdateTaint']);
  assert.deepEqual(nodeEvents({ ...node, spec: { unschedulable: true } }, node), [], 'a node that is cordoned helps nobody');
  assert.deepEqual(nodeEvents(node, { ...node, spec: { unschedulable: true } }), ['NodeUpdateUnschedulable']);
});

test('what about a waiting pod can help it', () => {
  const pod = testPod('p', { schedulingGates: [{ name: 'g' }] }, { cpu: '1' });
  assert.deepEqual(waitingPodEvents({ ...pod, status: { ...pod.status, conditions: [] } }, pod), []);
  assert.deepEqual(waitingPodEvents({ ...pod, spec: { ...pod.spec, schedulingGates: [] } }, pod), ['PodSchedulingGatesEliminated']);
  assert.deepEqual(waitingPodEvents(labelled(pod, { a: 'b' }), pod), ['PodUpdateLabel']);
  assert.deepEqual(waitingPodEvents({ ...pod, spec: { ...pod.spec, tolerations: [{ operator: 'Exists' }] } }, pod), ['PodUpdateTolerations']);
});
