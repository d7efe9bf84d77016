import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Pod, PodDisruptionBudget } from '../api/kinds.ts';
import { ClusterState } from './cluster-state.ts';
import { podInfo } from './pod-info.ts';
import { type Decision, schedule } from './schedule.ts';
import { testNode, testPod } from './test-objects.ts';
import { decide, type Situation, stateOf, testProfile } from './test-profile.ts';

const running = (name: string, priority: number, cpu = '1', startTime = '2026-01-01T00:00:00Z', labels: Record<string, string> = {}): Pod => {
  const pod = testPod(name, { priority }, { cpu });
  return { ...pod, metadata: { ...pod.metadata, labels }, status: { phase: 'Running', startTime } };
};
const important = (cpu = '1', spec = {}): Pod => testPod('important', { priority: 1000, ...spec }, { cpu });
const budget = (name: string, labels: Record<string, string>, disruptionsAllowed: number): PodDisruptionBudget => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { selector: { matchLabels: labels } },
  status: { disruptionsAllowed, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
});

interface Plan {
  readonly node: string;
  readonly victims: readonly { readonly name: string }[];
  readonly disruptionBudgetViolations: number;
}

function planOf(decision: Decision): string {
  assert.equal(decision.type, 'refused');
  const { plan } = (decision.type === 'refused' && decision.remedy) || {};
  if (plan === undefined) return decision.type === 'refused' ? decision.message.replace(/^.*preemption: /, '') : '';
  const { node, victims } = plan.describe as Plan;
  return `${node}: ${victims.map(({ name }) => name).join(', ')}`;
}

const two = [testNode('a'), testNode('b')];

const cases: readonly (Situation & { readonly name: string; readonly pod: Pod; readonly expect: string })[] = [
  {
    name: 'no more victims than needed, the least important',
    nodes: [testNode('a')],
    placed: [
      [running('low', 1), 'a'],
      [running('mid', 5), 'a'],
    ],
    pod: important(),
    expect: 'a: low',
  },
  {
    name: 'nobody as important is touched',
    nodes: [testNode('a')],
    placed: [[running('equal', 1000, '2'), 'a']],
    pod: important(),
    expect: '0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  },
  {
    name: 'a node too small is no help',
    nodes: [testNode('a')],
    placed: [[running('low', 1, '2'), 'a']],
    pod: important('3'),
    expect: '0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
  },
  {
    name: 'what is left of the more important is too little',
    nodes: [testNode('a')],
    placed: [
      [running('equal', 1000, '1500m'), 'a'],
      [running('low', 1, '500m'), 'a'],
    ],
    pod: important(),
    expect: '0/1 nodes are available: 1 Insufficient cpu.',
  },
  {
    name: 'a pod that never preempts',
    nodes: [testNode('a')],
    placed: [[running('low', 1, '2'), 'a']],
    pod: important('1', { preemptionPolicy: 'Never' }),
    expect: 'not eligible due to preemptionPolicy=Never.',
  },
  {
    name: 'where no budget is violated',
    nodes: two,
    placed: [
      [running('guarded', 1, '2', undefined, { app: 'x' }), 'a'],
      [running('free', 5, '2'), 'b'],
    ],
    objects: [budget('pdb', { app: 'x' }, 0)],
    pod: important(),
    expect: 'b: free',
  },
  {
    name: 'a budget does not save the only node',
    nodes: [testNode('a')],
    placed: [[running('guarded', 1, '2', undefined, { app: 'x' }), 'a']],
    objects: [budget('pdb', { app: 'x' }, 0)],
    pod: important(),
    expect: 'a: guarded',
  },
  {
    name: 'a budget that allows one disruption allows one',
    nodes: [testNode('a'), testNode('b')],
    placed: [
      [running('x1', 1, '1', undefined, { app: 'x' }), 'a'],
      [running('x2', 1, '1', undefined, { app: 'x' }), 'a'],
      [running('y', 9, '2'), 'b'],
    ],
    objects: [budget('pdb', { app: 'x' }, 1)],
    pod: important('2'),
    expect: 'b: y',
  },
  {
    name: 'the lowest of the highest priorities',
    nodes: two,
    placed: [
      [running('nine', 9, '2'), 'a'],
      [running('five', 5, '1'), 'b'],
      [running('five2', 5, '1'), 'b'],
    ],
    pod: important('2'),
    expect: 'b: five, five2',
  },
  {
    name: 'the lowest sum of priorities, that is, the fewer victims',
    nodes: two,
    placed: [
      [running('five', 5, '1'), 'a'],
      [running('two', 2, '1'), 'a'],
      [running('five2', 5, '2'), 'b'],
    ],
    pod: important('2'),
    expect: 'b: five2',
  },
  {
    name: 'who has not run for long',
    nodes: two,
    placed: [
      [running('old', 5, '2', '2026-01-01T00:00:00Z'), 'a'],
      [running('young', 5, '2', '2026-02-01T00:00:00Z'), 'b'],
    ],
    pod: important(),
    expect: 'b: young',
  },
  {
    name: 'anti-affinity to a less important pod can be resolved',
    nodes: [testNode('a', {}, { zone: 'z' })],
    placed: [[running('low', 1, '100m', undefined, { app: 'x' }), 'a']],
    pod: important('100m', {
      affinity: {
        podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', labelSelector: { matchLabels: { app: 'x' } } }] },
      },
    }),
    expect: 'a: low',
  },
];

for (const { name, pod, expect, ...situation } of cases) {
  test(`preemption: ${name}`, () => assert.equal(planOf(decide(situation, pod)), expect));
}

test('looking for victims leaves the snapshot as it was', () => {
  const state = stateOf({
    nodes: [testNode('a')],
    placed: [
      [running('low', 1), 'a'],
      [running('mid', 5), 'a'],
    ],
  });
  const before = JSON.stringify([...state.requested.at(0), [...(state.node('a')?.pods.keys() ?? [])].sort(), state.nonZeroCpu[0]]);
  schedule(state, podInfo(important('2')), testProfile(), { chance: 0, start: 0 });
  assert.equal(JSON.stringify([...state.requested.at(0), [...(state.node('a')?.pods.keys() ?? [])].sort(), state.nonZeroCpu[0]]), before);
});

test('room that is being made for a more important pod is not given to another', () => {
  const state = stateOf({ nodes: [testNode('a')], placed: [[running('low', 1), 'a']] });
  state.nominate(podInfo(important('1')), 'a');
  const outcome = (priority: number): string =>
    schedule(state, podInfo(testPod('other', { priority }, { cpu: '1' })), testProfile(), { chance: 0, start: 0 }).type;
  assert.equal(outcome(5), 'refused');
  assert.equal(outcome(2000), 'placed', 'one that is more important may have it');
});

test('the promised node is taken first', () => {
  const state = stateOf({ nodes: [testNode('a'), testNode('b')], placed: [[running('low', 1), 'b']] });
  const pod = important('1');
  const decision = schedule(state, podInfo({ ...pod, status: { ...pod.status, nominatedNodeName: 'b' } }), testProfile(), { chance: 0, start: 0 });
  assert.equal(decision.type === 'placed' && decision.nodeName, 'b');
});

test('property: victims are always less important, make enough room, and no budget is violated where another node would do', () => {
  const pods = fc.array(
    fc.record({
      node: fc.constantFrom('a', 'b', 'c'),
      priority: fc.integer({ min: 0, max: 20 }),
      cpu: fc.integer({ min: 1, max: 20 }),
      guarded: fc.boolean(),
    }),
    { maxLength: 14 },
  );
  fc.assert(
    fc.property(
      pods,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 2 }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      (drawn, wanted, allowed, chance) => {
        const nodes = ['a', 'b', 'c'].map((name) => testNode(name));
        const left = new Map(nodes.map(({ metadata }) => [metadata.name, 20]));
        const placed: [Pod, string][] = [];
        for (const [index, { node, priority, cpu, guarded }] of drawn.entries()) {
          const room = left.get(node) ?? 0;
          if (cpu > room) continue;
          left.set(node, room - cpu);
          placed.push([running(`q${index}`, priority, `${cpu * 100}m`, undefined, guarded ? { app: 'x' } : {}), node]);
        }
        const situation = { nodes, placed, objects: [budget('pdb', { app: 'x' }, allowed)] };
        const pod = testPod('p', { priority: 10 }, { cpu: `${wanted * 100}m` });
        const decision = decide(situation, pod, undefined, chance);
        if (decision.type === 'placed') return;
        const { plan } = decision.remedy ?? {};
        if (plan === undefined) return;
        const { node, victims, disruptionBudgetViolations } = plan.describe as Plan;
        const names = new Set(victims.map(({ name }) => name));
        const rest = placed.filter(([{ metadata }]) => !names.has(metadata.name));
        for (const [{ metadata, spec }] of placed)
          if (names.has(metadata.name)) assert((spec.priority ?? 0) < 10, `${metadata.name} is as important`);
        const after = decide({ nodes, placed: rest }, pod);
        assert.equal(after.type, 'placed', 'the victims make enough room');
        const guardedVictims = placed.filter(([{ metadata }]) => names.has(metadata.name) && metadata.labels?.['app'] === 'x').length;
        assert.equal(disruptionBudgetViolations, Math.max(0, disruptionBudgetViolations));
        assert(disruptionBudgetViolations <= guardedVictims);
        if (disruptionBudgetViolations === 0) return;
        for (const other of ['a', 'b', 'c']) {
          if (other === node) continue;
          // With every less important pod without a budget gone, the pod must not fit anywhere else: otherwise that node would have been free of violations.
          const kept = placed.filter(
            ([{ metadata, spec }, where]) => where === other && ((spec.priority ?? 0) >= 10 || metadata.labels?.['app'] === 'x'),
          );
          assert.equal(
            decide({ nodes: nodes.filter(({ metadata }) => metadata.name === other), placed: kept }, pod).type,
            'refused',
            `${other} needs no violation`,
          );
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('a state that knows no nodes has nobody to preempt', () => {
  const decision = schedule(new ClusterState(), podInfo(important()), testProfile(), { chance: 0, start: 0 });
  assert.equal(decision.type === 'refused' && decision.message, 'no nodes available to schedule pods');
});
