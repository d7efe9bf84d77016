import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod, PodDisruptionBudget } from '../../api/kinds.ts';
import { budgetStatus } from './budget.ts';

const now = '2026-01-01T00:10:00Z';
const nowMs = Date.parse(now);

function pods(ready: number, unready = 0): Pod[] {
  return Array.from({ length: ready + unready }, (_, i): Pod => {
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `p${i}`, namespace: 'default', uid: `p${i}`, resourceVersion: '1', creationTimestamp: now },
      spec: { containers: [] },
      status: { conditions: [{ type: 'Ready', status: i < ready ? 'True' : 'False' }] },
    };
  });
}

function budget(spec: PodDisruptionBudget['spec'], disruptedPods?: Record<string, string>): PodDisruptionBudget {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'b', namespace: 'default', uid: 'b', resourceVersion: '1', creationTimestamp: now, generation: 2 },
    spec,
    status: { ...(disruptedPods && { disruptedPods }) },
  };
}

describe('a disruption budget', () => {
  const cases: readonly [string, PodDisruptionBudget['spec'], ready: number, unready: number, scale: number, allowed: number, desired: number][] = [
    ['of a least number', { minAvailable: 2 }, 3, 0, 0, 1, 2],
    ['of a least number that is not there', { minAvailable: 4 }, 3, 0, 0, 0, 4],
    ['of a least share, rounded up', { minAvailable: '50%' }, 3, 0, 3, 1, 2],
    ['of a greatest number', { maxUnavailable: 1 }, 3, 0, 3, 1, 2],
    ['counts pods that are not ready against it', { maxUnavailable: 1 }, 2, 1, 3, 0, 2],
    ['of a greatest share, rounded up', { maxUnavailable: '30%' }, 5, 0, 5, 2, 3],
    ['of nothing', { minAvailable: 0 }, 0, 0, 0, 0, 0],
  ];
  for (const [name, spec, ready, unready, scale, allowed, desired] of cases) {
    it(name, () => {
      const { status } = budgetStatus({ budget: budget(spec), pods: pods(ready, unready), scale, nowMs, now });
      assert.deepEqual([status.disruptionsAllowed, status.desiredHealthy, status.currentHealthy], [allowed, desired, ready]);
      assert.equal(status.observedGeneration, 2);
    });
  }

  it('says by which generation of it was judged, also when nothing else changed', () => {
    const before = [
      { type: 'DisruptionAllowed', status: 'True', reason: 'SufficientPods', message: '', observedGeneration: 1, lastTransitionTime: 'then' },
    ];
    const grown = { ...budget({ minAvailable: 1 }), status: { conditions: before } };
    const { status } = budgetStatus({ budget: grown, pods: pods(3), scale: 0, nowMs, now });
    assert.deepEqual(status.conditions, [{ ...before[0], observedGeneration: 2 }]);
  });

  it('counts an eviction that was granted until it is seen, or two minutes have passed', () => {
    const granted = budget({ minAvailable: 1 }, { p0: '2026-01-01T00:09:00Z', p1: '2026-01-01T00:07:00Z', gone: '2026-01-01T00:09:59Z' });
    const { status, requeueAfterMs, notDeleted } = budgetStatus({ budget: granted, pods: pods(3), scale: 3, nowMs, now });
    assert.deepEqual(status.disruptedPods, { p0: '2026-01-01T00:09:00Z' });
    assert.equal(status.disruptionsAllowed, 1);
    assert.equal(requeueAfterMs, 60_000);
    assert.deepEqual(
      notDeleted.map(({ metadata }) => metadata.name),
      ['p1'],
    );
  });
});
