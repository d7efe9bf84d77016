import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node, Pod } from '../api/kinds.ts';
import { ClusterState } from './cluster-state.ts';
import { podInfo } from './pod-info.ts';
import { schedule } from './schedule.ts';
import { testNode, testPod } from './test-objects.ts';
import { decide, outcomeOf, testProfile } from './test-profile.ts';

interface Case {
  readonly name: string;
  readonly nodes: readonly Node[];
  /** Already on a node. */
  readonly placed?: readonly (readonly [Pod, string])[];
  readonly pod: Pod;
  /** A node's name, or the message of a refusal. */
  readonly expect: string;
}

const taint = { key: 'dedicated', value: 'gpu', effect: 'NoSchedule' };
const onPort = (name: string, hostPort: number, protocol = 'TCP', hostIP?: string): Pod =>
  testPod(name, {
    containers: [{ name: 'main', image: 'app', ports: [{ containerPort: 80, hostPort, protocol, ...(hostIP !== undefined && { hostIP }) }] }],
  });
const requiring = (key: string, operator: string, values: string[] = []): Pod =>
  testPod('p', {
    affinity: {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator, values }] }] } },
    },
  });

const cases: readonly Case[] = [
  { name: 'no nodes', nodes: [], pod: testPod('p'), expect: 'no nodes available to schedule pods' },
  { name: 'one node', nodes: [testNode('a')], pod: testPod('p'), expect: 'a' },
  {
    name: 'too little CPU everywhere',
    nodes: [testNode('a'), testNode('b')],
    pod: testPod('p', {}, { cpu: '2500m' }),
    expect: '0/2 nodes are available: 2 Insufficient cpu.',
  },
  {
    name: 'CPU and memory short on one, taint on the other',
    nodes: [testNode('a'), testNode('b', { taints: [taint] })],
    pod: testPod('p', {}, { cpu: '3', memory: '8Gi' }),
    expect: '0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) had untolerated taint(s).',
  },
  {
    name: 'the emptier node',
    nodes: [testNode('a'), testNode('b')],
    placed: [[testPod('q', {}, { cpu: '1', memory: '2Gi' }), 'a']],
    pod: testPod('p', {}, { cpu: '100m', memory: '100Mi' }),
    expect: 'b',
  },
  {
    name: 'exactly what is left',
    nodes: [testNode('a')],
    placed: [[testPod('q', {}, { cpu: '1500m' }), 'a']],
    pod: testPod('p', {}, { cpu: '500m' }),
    expect: 'a',
  },
  {
    name: 'a full node',
    nodes: [testNode('a', {}, {}, { allocatable: { cpu: '2', memory: '4Gi', pods: '1' } })],
    placed: [[testPod('q'), 'a']],
    pod: testPod('p'),
    expect: '0/1 nodes are available: 1 Too many pods.',
  },
  {
    name: 'an extended resource no node has',
    nodes: [testNode('a')],
    pod: testPod('p', {}, { 'example.com/gpu': '1' }),
    expect: '0/1 nodes are available: 1 Insufficient example.com/gpu.',
  },
  {
    name: 'a finished pod holds nothing',
    nodes: [testNode('a')],
    placed: [[{ ...testPod('q', {}, { cpu: '2' }), status: { phase: 'Succeeded' } }, 'a']],
    pod: testPod('p', {}, { cpu: '2' }),
    expect: 'a',
  },
  {
    name: 'a cordoned node',
    nodes: [testNode('a', { unschedulable: true })],
    pod: testPod('p'),
    expect: '0/1 nodes are available: 1 node(s) were unschedulable.',
  },
  {
    name: 'a cordoned node that is tolerated',
    nodes: [testNode('a', { unschedulable: true })],
    pod: testPod('p', { tolerations: [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }] }),
    expect: 'a',
  },
  {
    name: 'a tolerated taint',
    nodes: [testNode('a', { taints: [taint] })],
    pod: testPod('p', { tolerations: [{ key: 'dedicated', operator: 'Equal', value: 'gpu', effect: 'NoSchedule' }] }),
    expect: 'a',
  },
  {
    name: 'a toleration of another value',
    nodes: [testNode('a', { taints: [taint] })],
    pod: testPod('p', { tolerations: [{ key: 'dedicated', operator: 'Equal', value: 'cpu' }] }),
    expect: '0/1 nodes are available: 1 node(s) had untolerated taint(s).',
  },
  {
    name: 'a soft taint only where nothing else is free',
    nodes: [testNode('a', { taints: [{ key: 'old', effect: 'PreferNoSchedule' }] }), testNode('b')],
    pod: testPod('p'),
    expect: 'b',
  },
  {
    name: 'the node with the label',
    nodes: [testNode('a'), testNode('b', {}, { disk: 'ssd' })],
    pod: testPod('p', { nodeSelector: { disk: 'ssd' } }),
    expect: 'b',
  },
  {
    name: 'a label no node has',
    nodes: [testNode('a')],
    pod: testPod('p', { nodeSelector: { disk: 'ssd' } }),
    expect: "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
  },
  {
    name: 'a required value in a list',
    nodes: [testNode('a', {}, { zone: 'x' }), testNode('b', {}, { zone: 'y' })],
    pod: requiring('zone', 'In', ['y', 'z']),
    expect: 'b',
  },
  { name: 'a value not in a list', nodes: [testNode('a', {}, { zone: 'x' }), testNode('b')], pod: requiring('zone', 'NotIn', ['x']), expect: 'b' },
  {
    name: 'more than a number',
    nodes: [testNode('a', {}, { cores: '4' }), testNode('b', {}, { cores: '16' })],
    pod: requiring('cores', 'Gt', ['8']),
    expect: 'b',
  },
  {
    name: 'a taken host port',
    nodes: [testNode('a')],
    placed: [[onPort('q', 8080), 'a']],
    pod: onPort('p', 8080),
    expect: "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  },
  {
    name: 'the same host port of another protocol',
    nodes: [testNode('a')],
    placed: [[onPort('q', 8080), 'a']],
    pod: onPort('p', 8080, 'UDP'),
    expect: 'a',
  },
  {
    name: 'the same host port on another address',
    nodes: [testNode('a')],
    placed: [[onPort('q', 8080, 'TCP', '127.0.0.1'), 'a']],
    pod: onPort('p', 8080, 'TCP', '127.0.0.2'),
    expect: 'a',
  },
  {
    name: 'what init containers need at their peak',
    nodes: [testNode('a')],
    pod: testPod('p', { initContainers: [{ name: 'i', resources: { requests: { cpu: '3' } } }] }, { cpu: '1' }),
    expect: '0/1 nodes are available: 1 Insufficient cpu.',
  },
  {
    name: 'a sidecar next to the containers',
    nodes: [testNode('a')],
    pod: testPod('p', { initContainers: [{ name: 's', restartPolicy: 'Always', resources: { requests: { cpu: '1500m' } } }] }, { cpu: '1' }),
    expect: '0/1 nodes are available: 1 Insufficient cpu.',
  },
];

for (const { name, nodes, placed = [], pod, expect } of cases) {
  test(`schedule: ${name}`, () => assert.equal(outcomeOf(decide({ nodes, placed }, pod)), expect));
}

const profile = testProfile();
const begin = { chance: 0, start: 0 };

test('ties are broken by the number passed in, and by nothing else', () => {
  const nodes = ['a', 'b', 'c'].map((name) => testNode(name));
  const pick = (chance: number): string => outcomeOf(decide({ nodes }, testPod('p'), undefined, chance));
  assert.deepEqual([0, 0.4, 0.99].map(pick), ['a', 'b', 'c']);
});

test('an assumed pod counts until it is forgotten', () => {
  const state = new ClusterState();
  state.setNode(testNode('a'));
  const [first, second] = [podInfo(testPod('p', {}, { cpu: '2' })), podInfo(testPod('q', {}, { cpu: '2' }))];
  state.assume(first, 'a');
  assert.equal(schedule(state, second, profile, begin).type, 'refused');
  state.forget(first.key);
  assert.equal(schedule(state, second, profile, begin).type, 'placed');
  assert.deepEqual([...state.requested.at(0)], []);
});

test('an assumed pod that was bound and never seen on its node is taken back in time', () => {
  const state = new ClusterState();
  state.setNode(testNode('a'));
  state.assume(podInfo(testPod('p')), 'a');
  assert.deepEqual(state.forgetExpired(1e15), [], 'a binding under way has no end');
  state.bound('default/p', 1000);
  assert.deepEqual(state.forgetExpired(999), []);
  assert.deepEqual(state.forgetExpired(1000), ['default/p']);
  assert.equal(state.nodes[0]?.pods.size, 0);
});

test('a confirmed pod is not forgotten', () => {
  const state = new ClusterState();
  state.setNode(testNode('a'));
  const pod = testPod('p', {}, { cpu: '2' });
  state.assume(podInfo(pod), 'a');
  state.setPod({ ...pod, spec: { ...pod.spec, nodeName: 'a' } });
  state.forget('default/p');
  assert.equal(state.nodes[0]?.pods.size, 1);
});

test('the event says what preemption could have done', () => {
  const full = decide({ nodes: [testNode('a'), testNode('b', { unschedulable: true })] }, testPod('p', {}, { cpu: '3' }));
  assert.equal(
    full.type === 'refused' && full.message,
    '0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
  );
  const busy = decide({ nodes: [testNode('a')], placed: [[testPod('q', {}, { cpu: '2' }), 'a']] }, testPod('p', {}, { cpu: '1' }));
  assert.equal(
    busy.type === 'refused' && busy.message,
    '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  );
});
