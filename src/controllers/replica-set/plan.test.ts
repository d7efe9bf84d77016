import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod } from '../../api/kinds.ts';
import { nextAvailableMs, planReplicas, replicaStatus } from './plan.ts';
import { podsToDelete } from './ranking.ts';

const nowMs = Date.UTC(2026, 0, 2);

interface Traits {
  readonly node?: string;
  readonly phase?: string;
  readonly readySeconds?: number;
  readonly cost?: string;
  readonly restarts?: number;
  readonly ageSeconds?: number;
}

function pod(name: string, { node = 'n1', phase = 'Running', readySeconds, cost, restarts = 0, ageSeconds = 1000 }: Traits = {}): Pod {
  const ago = (seconds: number): string => new Date(nowMs - seconds * 1000).toISOString();
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '1',
      creationTimestamp: ago(ageSeconds),
      labels: { app: 'web' },
      ...(cost !== undefined && { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }),
    },
    spec: { ...(node !== '' && { nodeName: node }), containers: [] },
    status: {
      phase,
      conditions: readySeconds === undefined ? [] : [{ type: 'Ready', status: 'True', lastTransitionTime: ago(readySeconds) }],
      containerStatuses: [{ name: 'c', image: '', imageID: '', ready: true, restartCount: restarts }],
    },
  };
}

describe('replicas', () => {
  it('makes what is missing, at most a burst of it', () => {
    assert.equal(planReplicas(3, [pod('a')], [], nowMs).create, 2);
    assert.equal(planReplicas(5000, [], [], nowMs).create, 500);
  });
  it('does nothing when there are enough', () => assert.deepEqual(planReplicas(1, [pod('a')], [], nowMs), { create: 0, delete: [] }));
  it('deletes all for none', () => assert.equal(planReplicas(0, [pod('a'), pod('b')], [], nowMs).delete.length, 2));
});

describe('the pod that goes first', () => {
  const ready = { readySeconds: 100 };
  const cases: readonly [string, goes: Pod, stays: Pod, related?: readonly Pod[]][] = [
    ['has no node', pod('b', { node: '' }), pod('a', { node: 'n1', phase: 'Pending' })],
    ['is pending', pod('b', { phase: 'Pending' }), pod('a')],
    ['is not ready', pod('b'), pod('a', ready)],
    ['costs less', pod('b', { ...ready, cost: '-1' }), pod('a', ready)],
    ['is cheap, not one with a cost that is no number', pod('b', { ...ready, cost: '-1' }), pod('a', { ...ready, cost: '-9x' })],
    ['has more neighbours', pod('b', { ...ready, node: 'n2' }), pod('a', ready), [pod('x', { node: 'n2' }), pod('y', { node: 'n2' })]],
    ['became ready later', pod('b', { readySeconds: 1 }), pod('a', { readySeconds: 100 })],
    ['restarted more', pod('b', { ...ready, restarts: 3 }), pod('a', ready)],
    ['is younger', pod('b', { ...ready, ageSeconds: 100 }), pod('a', ready)],
    ['has the lower uid when all else is equal', pod('a', ready), pod('b', ready)],
  ];
  for (const [name, goes, stays, related = []] of cases) {
    it(name, () => {
      for (const pods of [
        [goes, stays],
        [stays, goes],
      ])
        assert.deepEqual(
          podsToDelete(pods, related, 1, nowMs).map((deleted) => deleted.metadata.name),
          [goes.metadata.name],
        );
    });
  }
});

describe('replica status', () => {
  const owner = { spec: { replicas: 2, minReadySeconds: 10, template: { metadata: { labels: { app: 'web' } } } }, generation: 4 };
  it('counts ready pods as available only after minReadySeconds', () => {
    const pods = [pod('a', { readySeconds: 5 }), pod('b', { readySeconds: 50 }), pod('c')];
    assert.deepEqual(replicaStatus({ replicas: 0 }, owner, pods, 1, undefined, nowMs, 'now'), {
      replicas: 3,
      fullyLabeledReplicas: 3,
      readyReplicas: 2,
      availableReplicas: 1,
      terminatingReplicas: 1,
      observedGeneration: 4,
    });
    assert.equal(nextAvailableMs(pods, 10, nowMs), 5000);
  });
  it('says why pods could not be made, until they can', () => {
    const failed = replicaStatus({ replicas: 0 }, owner, [], 0, { reason: 'FailedCreate', message: 'quota' }, nowMs, 'now');
    assert.deepEqual(failed.conditions, [
      { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota', lastTransitionTime: 'now' },
    ]);
    assert.equal(replicaStatus(failed, owner, [], 0, undefined, nowMs, 'later').conditions, undefined);
  });
});
