import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DaemonSet, Node, Pod } from '../../api/kinds.ts';
import type { V1DaemonSetSpec, V1PodSpec, V1Taint } from '../../api/types.ts';
import { FailedPodBackOff } from '../failed-pod-back-off.ts';
import { daemonPod, nodeFit, targetNode } from './node-fit.ts';
import { daemonStatus, planPlacement, planRollingUpdate, viewDaemonSet } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 2);
const before = '2026-01-01T00:00:00Z';
const base = { namespace: 'default', resourceVersion: '1', creationTimestamp: before };

function set(spec: Partial<V1DaemonSetSpec> = {}, podSpec: Partial<V1PodSpec> = {}): DaemonSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { ...base, name: 'agent', uid: 'set', annotations: { 'deprecated.daemonset.template.generation': '4' } },
    spec: { selector: {}, template: { spec: { containers: [], ...podSpec } }, ...spec },
    status: { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 },
  };
}

function node(name: string, taints: V1Taint[] = [], labels: Record<string, string> = {}): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: before, labels },
    spec: { taints },
    status: {},
  };
}

/** `a@n1`: ready with the new template; `a@n1 old`, `unready`, `leaving`, `Failed`, `Succeeded` as they say. */
function pod(text: string): Pod {
  const [place = '', ...traits] = text.split(' ');
  const [name = '', nodeName = ''] = place.split('@');
  const has = (trait: string): boolean => traits.includes(trait);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...base,
      name,
      uid: name,
      labels: { 'controller-revision-hash': has('old') ? 'old' : 'new' },
      ...(has('leaving') && { deletionTimestamp: before }),
    },
    spec: { nodeName, containers: [] },
    status: {
      phase: has('Failed') ? 'Failed' : has('Succeeded') ? 'Succeeded' : 'Running',
      conditions: [{ type: 'Ready', status: has('unready') ? 'False' : 'True', lastTransitionTime: before }],
    },
  };
}

const nodes = [node('n1'), node('n2'), node('n3')];
const view = (daemonSet: DaemonSet, pods: readonly string[], on = nodes) => viewDaemonSet(daemonSet, 'new', on, pods.map(pod), nowMs);
const names = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.name);

describe('where a daemon pod belongs', () => {
  const taint = (effect: string, key = 'x'): V1Taint => ({ key, effect });
  const cases: readonly [string, Partial<V1PodSpec>, Node, runs: boolean, stays: boolean][] = [
    ['anywhere', {}, node('n1'), true, true],
    ['not where a taint forbids scheduling, but it may stay', {}, node('n1', [taint('NoSchedule')]), false, true],
    ['not where a taint evicts', {}, node('n1', [taint('NoExecute')]), false, false],
    ['where a taint only prefers otherwise', {}, node('n1', [taint('PreferNoSchedule')]), true, true],
    ['where its toleration lets it', { tolerations: [{ operator: 'Exists' }] }, node('n1', [taint('NoExecute')]), true, true],
    ['on sick nodes', {}, node('n1', [taint('NoExecute', 'node.kubernetes.io/unreachable')]), true, true],
    ['on cordoned nodes', {}, node('n1', [taint('NoSchedule', 'node.kubernetes.io/unschedulable')]), true, true],
    ['not where there is no network', {}, node('n1', [taint('NoSchedule', 'node.kubernetes.io/network-unavailable')]), false, true],
    [
      'there too, on the host network',
      { hostNetwork: true },
      node('n1', [taint('NoSchedule', 'node.kubernetes.io/network-unavailable')]),
      true,
      true,
    ],
    ['where the labels fit', { nodeSelector: { disk: 'ssd' } }, node('n1', [], { disk: 'ssd' }), true, true],
    ['nowhere else', { nodeSelector: { disk: 'ssd' } }, node('n1'), false, false],
    ['on the node it names', { nodeName: 'n2' }, node('n1'), false, false],
  ];
  for (const [name, spec, on, shouldRun, mayStay] of cases) it(name, () => assert.deepEqual(nodeFit(set({}, spec))(on), { shouldRun, mayStay }));

  it('is said in the pod itself', () => {
    const draft = daemonPod(set(), 'n2', 'hash');
    assert.equal(targetNode({ ...pod('a@'), spec: draft.spec }), 'n2');
    assert.deepEqual(draft.metadata.labels, { 'controller-revision-hash': 'hash', 'pod-template-generation': '4' });
  });
});

describe('placement', () => {
  const cases: readonly [string, pods: string[], create: string[], remove: string[]][] = [
    ['makes what is missing', ['a@n1'], ['n2', 'n3'], []],
    ['keeps the oldest of several', ['a@n1', 'b@n1', 'c@n2', 'd@n3'], [], ['b']],
    ['replaces what ended', ['a@n1 Failed', 'b@n2 Succeeded', 'c@n3'], [], ['a', 'b']],
    ['waits for what leaves', ['a@n1 leaving', 'b@n2', 'c@n3'], [], []],
  ];
  for (const [name, pods, create, remove] of cases) {
    it(name, () => {
      const plan = planPlacement(view(set(), pods), () => true);
      assert.deepEqual([plan.create, names(plan.delete)], [create, remove]);
    });
  }
  it('leaves a failed pod for a while', () => assert.deepEqual(planPlacement(view(set(), ['a@n1 Failed', 'b@n2', 'c@n3']), () => false).delete, []));
  it('takes pods off nodes that do not fit', () => {
    const plan = planPlacement(view(set({}, { nodeSelector: { disk: 'ssd' } }), ['a@n1'], [node('n1')]), () => true);
    assert.deepEqual(names(plan.delete), ['a']);
  });
});

describe('rolling update', () => {
  const old = ['a@n1 old', 'b@n2 old', 'c@n3 old'];
  const cases: readonly [string, rollingUpdate: object, pods: string[], create: string[], remove: string[]][] = [
    ['takes one at a time', { maxUnavailable: 1 }, old, [], ['a']],
    ['takes as many as may be unavailable', { maxUnavailable: '50%' }, old, [], ['a', 'b']],
    ['waits for those under way', { maxUnavailable: 1 }, ['a@n1 unready', 'b@n2 old', 'c@n3 old'], [], []],
    ['takes what does not serve anyway', { maxUnavailable: 1 }, ['a@n1 old', 'b@n2 old unready', 'c@n3 unready'], [], ['b']],
    ['surges', { maxSurge: 1, maxUnavailable: 0 }, old, ['n1'], []],
    ['surges no further until the new one serves', { maxSurge: 1, maxUnavailable: 0 }, [...old, 'd@n1 unready'], [], []],
    ['then takes the old one', { maxSurge: 1, maxUnavailable: 0 }, [...old, 'd@n1'], ['n2'], ['a']],
  ];
  for (const [name, rollingUpdate, pods, create, remove] of cases) {
    it(name, () => {
      const plan = planRollingUpdate(view(set({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } }), pods));
      assert.deepEqual([plan.create, names(plan.delete)], [create, remove]);
    });
  }
});

describe('status', () => {
  it('counts nodes, not pods', () => {
    const on = [...nodes, node('n4', [{ key: 'x', effect: 'NoSchedule' }])];
    const { conditions: _, ...status } = daemonStatus(view(set(), ['a@n1 old', 'b@n2 unready', 'c@n4', 'd@n1'], on));
    assert.deepEqual(status, {
      desiredNumberScheduled: 3,
      currentNumberScheduled: 2,
      numberMisscheduled: 1,
      numberReady: 1,
      numberAvailable: 1,
      numberUnavailable: 2,
      updatedNumberScheduled: 1,
      observedGeneration: 0,
    });
  });
});

it('a node that refuses pods is tried ever more rarely', () => {
  const backOff = new FailedPodBackOff();
  assert.equal(backOff.waitMs('n', 0), 0);
  backOff.failed('n', 0);
  assert.equal(backOff.waitMs('n', 0), 1000);
  backOff.failed('n', 1000);
  assert.equal(backOff.waitMs('n', 1000), 2000);
});
