import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nodeCount } from './numa-mask.ts';
import { pretendMachine } from './pretend-machine.ts';
import { type HintsByResource, type TopologyHint, type TopologyPolicy, agree, topologyPolicies } from './topology-policy.ts';

const hint = (affinity: number | undefined, preferred = true): TopologyHint => ({ affinity, preferred });
const offer = (...hints: TopologyHint[]): HintsByResource => new Map([['cpu', hints]]);
const decide = (policy: TopologyPolicy, offers: readonly HintsByResource[], nodes = 2, preferClosest = false) => {
  const { hint: agreed, admitted } = agree({ policy, nodes: pretendMachine(nodes).nodes, preferClosest }, offers);
  return [agreed.affinity, agreed.preferred, admitted];
};
const [first, second, both] = [0b01, 0b10, 0b11];

describe('kinds of resources agree on nodes', () => {
  const either = offer(hint(first), hint(second), hint(both, false));
  const onlySecond = offer(hint(second), hint(both, false));
  const spread = offer(hint(both, false));
  const never = offer();

  for (const [name, offers, bestEffort, restricted, single] of [
    ['the lowest that all prefer', [either, either], [first, true, true], [first, true, true], [first, true, true]],
    ['the one that one of them insists on', [either, onlySecond], [second, true, true], [second, true, true], [second, true, true]],
    ['any node when nobody asks', [], [both, true, true], [both, true, true], [undefined, true, true]],
    ['any node when it does not matter', [new Map([['cpu', undefined]])], [both, true, true], [both, true, true], [undefined, true, true]],
    ['several, when none holds it alone', [spread], [both, false, true], [both, false, false], [undefined, false, false]],
    [
      'as many as one of them needs, if not what the other prefers',
      [onlySecond, spread],
      [both, false, true],
      [both, false, false],
      [undefined, false, false],
    ],
    ['nothing, when it cannot be had', [either, never], [first, false, true], [first, false, false], [undefined, false, false]],
    ['nothing in common', [offer(hint(first)), offer(hint(second))], [both, false, true], [both, false, false], [undefined, false, false]],
    ['more than one, when no fewer could do', [offer(hint(both))], [both, true, true], [both, true, true], [undefined, false, false]],
  ] as const) {
    test(name, () => {
      assert.deepEqual(decide('best-effort', offers), bestEffort, 'best-effort');
      assert.deepEqual(decide('restricted', offers), restricted, 'restricted');
      assert.deepEqual(decide('single-numa-node', offers), single, 'single-numa-node');
      assert.deepEqual(decide('none', offers), [undefined, false, true], 'none');
    });
  }

  test('the closest pair, where that is asked for', () => {
    const pairs = offer(hint(0b0101), hint(0b1100), hint(0b1111, false));
    assert.equal(decide('best-effort', [pairs], 4)[0], 0b0101);
    assert.equal(decide('best-effort', [pairs], 4, true)[0], 0b1100);
  });

  test('and whoever is admitted has what the policy promises', () => {
    const hints = fc.array(fc.record({ affinity: fc.option(fc.integer({ min: 1, max: 15 }), { nil: undefined }), preferred: fc.boolean() }), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.array(hints, { maxLength: 3 }), fc.constantFrom(...topologyPolicies), (lists, policy) => {
        const [affinity, preferred, admitted] = decide(
          policy,
          lists.map((list) => offer(...list)),
          4,
        );
        if (policy === 'none' || policy === 'best-effort') assert.equal(admitted, true);
        else assert.equal(admitted, preferred);
        if (policy === 'single-numa-node' && admitted === true && typeof affinity === 'number') assert.equal(nodeCount(affinity), 1);
        assert.notEqual(affinity, 0);
      }),
      { numRuns: 200 },
    );
  });
});
