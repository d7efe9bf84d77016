import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { V2HorizontalPodAutoscalerBehavior } from '../../api/types.ts';
import { emptyHistory, type History, limitScaling, type Proposal } from './scaling-rules.ts';

const nowMs = 1_000_000_000;

function proposal(current: number, desired: number, behavior?: V2HorizontalPodAutoscalerBehavior): Proposal {
  return { currentReplicas: current, desiredReplicas: desired, minReplicas: 1, maxReplicas: 100, behavior, downscaleStabilizationMs: 300_000, nowMs };
}

function past(
  recommendations: readonly (readonly [agoSeconds: number, replicas: number])[],
  changes: readonly (readonly [number, number])[] = [],
): History {
  return {
    recommendations: recommendations.map(([ago, replicas]) => ({ atMs: nowMs - ago * 1000, replicas })),
    changes: changes.map(([ago, change]) => ({ atMs: nowMs - ago * 1000, change })),
  };
}

describe('without behaviour', () => {
  const cases: readonly [string, current: number, desired: number, History, replicas: number, able: string, limit: string][] = [
    ['doubles at most', 10, 50, emptyHistory, 20, 'ReadyForNewScale', 'ScaleUpLimit'],
    ['may always grow to four', 1, 50, emptyHistory, 4, 'ReadyForNewScale', 'ScaleUpLimit'],
    ['grows to the most at most', 80, 150, emptyHistory, 100, 'ReadyForNewScale', 'TooManyReplicas'],
    ['shrinks to the least at least', 5, 0, emptyHistory, 1, 'ReadyForNewScale', 'TooFewReplicas'],
    ['shrinks only as far as the last five minutes allow', 10, 2, past([[200, 6]]), 6, 'ScaleDownStabilized', 'DesiredWithinRange'],
    ['forgets what is older', 10, 2, past([[400, 6]]), 2, 'ReadyForNewScale', 'DesiredWithinRange'],
    ['never grows for an old recommendation', 5, 5, past([[10, 9]]), 5, 'ReadyForNewScale', 'DesiredWithinRange'],
  ];
  for (const [name, current, desired, history, replicas, able, limit] of cases) {
    it(name, () => {
      const answer = limitScaling(proposal(current, desired), history);
      assert.deepEqual([answer.replicas, answer.able.reason, answer.limit.reason], [replicas, able, limit]);
      assert.equal(answer.limited, limit !== 'DesiredWithinRange');
    });
  }
});

describe('with behaviour', () => {
  const up = (scaleUp: V2HorizontalPodAutoscalerBehavior['scaleUp']): V2HorizontalPodAutoscalerBehavior => ({ scaleUp: scaleUp ?? {} });
  const down = (scaleDown: V2HorizontalPodAutoscalerBehavior['scaleDown']): V2HorizontalPodAutoscalerBehavior => ({
    scaleDown: { stabilizationWindowSeconds: 0, ...scaleDown },
  });
  const both = [
    { type: 'Pods', value: 2, periodSeconds: 60 },
    { type: 'Percent', value: 50, periodSeconds: 60 },
  ];
  const cases: readonly [string, current: number, desired: number, V2HorizontalPodAutoscalerBehavior, History, replicas: number][] = [
    ['takes the greatest change', 10, 50, up({ policies: both, selectPolicy: 'Max' }), emptyHistory, 15],
    ['takes the least change when told so', 10, 50, up({ policies: both, selectPolicy: 'Min' }), emptyHistory, 12],
    ['does not grow when that is disabled', 10, 50, up({ policies: both, selectPolicy: 'Disabled' }), emptyHistory, 10],
    ['counts what was added in the period', 10, 50, up({ policies: [{ type: 'Pods', value: 4, periodSeconds: 60 }] }), past([], [[30, 3]]), 11],
    ['forgets what was added before it', 10, 50, up({ policies: [{ type: 'Pods', value: 4, periodSeconds: 60 }] }), past([], [[61, 3]]), 14],
    [
      'waits for the lowest of its window on the way up',
      10,
      50,
      { scaleUp: { stabilizationWindowSeconds: 60, policies: [{ type: 'Percent', value: 900, periodSeconds: 15 }] } },
      past([[30, 12]]),
      12,
    ],
    ['shrinks by the greatest change', 10, 1, down({ policies: both, selectPolicy: 'Max' }), emptyHistory, 5],
    ['shrinks by the least change when told so', 10, 1, down({ policies: both, selectPolicy: 'Min' }), emptyHistory, 8],
    ['does not shrink when that is disabled', 10, 1, down({ policies: both, selectPolicy: 'Disabled' }), emptyHistory, 10],
    ['counts what was taken away in the period', 10, 1, down({ policies: [{ type: 'Pods', value: 4, periodSeconds: 60 }] }), past([], [[30, -3]]), 9],
  ];
  for (const [name, current, desired, behavior, history, replicas] of cases) {
    it(name, () => assert.equal(limitScaling(proposal(current, desired, behavior), history).replicas, replicas));
  }

  it('stays between its bounds and goes the way it should, whatever the past', () => {
    const policy = fc.record({
      type: fc.constantFrom('Pods', 'Percent'),
      value: fc.integer({ min: 1, max: 200 }),
      periodSeconds: fc.integer({ min: 1, max: 1800 }),
    });
    const rules = fc.record(
      {
        policies: fc.array(policy, { minLength: 1, maxLength: 3 }),
        selectPolicy: fc.constantFrom('Max', 'Min', 'Disabled'),
        stabilizationWindowSeconds: fc.integer({ min: 0, max: 600 }),
      },
      { requiredKeys: ['policies', 'selectPolicy'] },
    );
    const moments = fc.array(fc.tuple(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: -20, max: 20 })), { maxLength: 5 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 0, max: 200 }),
        fc.record({ scaleUp: rules, scaleDown: rules }),
        moments,
        (current, desired, behavior, changes) => {
          const { replicas } = limitScaling(proposal(current, desired, behavior), past([], changes));
          assert.ok(replicas >= 1 && replicas <= 100);
          assert.ok(desired >= current ? replicas >= current && replicas <= Math.max(desired, current) : replicas <= current);
        },
      ),
      { numRuns: 300 },
    );
  });
});
