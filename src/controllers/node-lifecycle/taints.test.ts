import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Node } from '../../api/kinds.ts';
import type { V1Taint } from '../../api/types.ts';
import { defaultOptions } from '../controller.ts';
import { evictionTime } from './taint-eviction.ts';
import { ZoneTally, evictionPauseMs, wantedTaints } from './taints.ts';

function node(conditions: Record<string, string>, taints: V1Taint[] = [], unschedulable = false): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', uid: 'n1', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { taints, ...(unschedulable && { unschedulable }) },
    status: { conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })) },
  };
}

const shown = (taints: readonly V1Taint[]): string[] => taints.map(({ key, effect }) => `${key}:${effect}`);

describe('taints by condition', () => {
  const mine: V1Taint = { key: 'mine', effect: 'NoExecute', value: 'x' };
  const cases: readonly [string, Node, evict: boolean, string[]][] = [
    ['a ready node has none', node({ Ready: 'True' }), true, []],
    ['one that became ready loses them', node({ Ready: 'True' }, [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]), true, []],
    ['other taints stay', node({ Ready: 'True' }, [mine]), true, ['mine:NoExecute']],
    ['one that is not ready', node({ Ready: 'False' }), true, ['node.kubernetes.io/not-ready:NoSchedule', 'node.kubernetes.io/not-ready:NoExecute']],
    ['one that is not ready, without eviction', node({ Ready: 'False' }), false, ['node.kubernetes.io/not-ready:NoSchedule']],
    [
      'one that went from not ready to unreachable',
      node({ Ready: 'Unknown' }, [{ key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }]),
      true,
      ['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'],
    ],
    ['one under pressure', node({ Ready: 'True', MemoryPressure: 'True' }), true, ['node.kubernetes.io/memory-pressure:NoSchedule']],
    ['a cordoned one', node({ Ready: 'True' }, [], true), true, ['node.kubernetes.io/unschedulable:NoSchedule']],
  ];
  for (const [name, object, evict, expected] of cases) it(name, () => assert.deepEqual(shown(wantedTaints(object, evict, 'now')), expected));
});

describe('eviction by taint', () => {
  const taint: V1Taint = { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' };
  it('is at once without toleration', () => assert.equal(evictionTime([], [taint], 1000), 1000));
  it('never comes to who tolerates all', () => assert.equal(evictionTime([{ operator: 'Exists' }], [taint], 1000), undefined));
  it('waits as long as tolerated', () =>
    assert.equal(evictionTime([{ key: taint.key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }], [taint], 1000), 301_000));
  it('waits for the shortest patience', () =>
    assert.equal(
      evictionTime(
        [
          { key: taint.key, operator: 'Exists', tolerationSeconds: 300 },
          { key: 'b', value: 'x', tolerationSeconds: 30 },
        ],
        [taint, { key: 'b', value: 'x', effect: 'NoExecute' }],
        0,
      ),
      30_000,
    ));
  it('is at once when one of several is not tolerated', () =>
    assert.equal(evictionTime([{ key: 'b', operator: 'Exists' }], [taint, { key: 'b', effect: 'NoExecute' }], 5), 5));
  it('does not come without taints', () => assert.equal(evictionTime([], [], 5), undefined));
});

describe('zones', () => {
  const pace = defaultOptions.eviction;
  const tally = (ready: number, dead: number): ZoneTally => {
    const counts = new ZoneTally(pace);
    for (let i = 0; i < ready; i++) counts.count(node({ Ready: 'True' }), 1);
    for (let i = 0; i < dead; i++) counts.count(node({ Ready: 'Unknown' }), 1);
    return counts;
  };
  it('are normal, partly or wholly disrupted', () => {
    assert.equal(tally(3, 1).state('/'), 'normal');
    assert.equal(tally(1, 2).state('/'), 'normal');
    assert.equal(tally(2, 3).state('/'), 'partial');
    assert.equal(tally(0, 2).state('/'), 'full');
  });
  it('are counted by who is there now', () => {
    const counts = tally(1, 1);
    counts.count(node({ Ready: 'True' }), -1);
    assert.equal(counts.anyReady(), false);
    assert.equal(counts.size('/'), 1);
    counts.count(node({}), 1);
    assert.equal(counts.size('/'), 1);
  });
  it('evict slowly when large and not at all when small, while partly disrupted', () => {
    assert.equal(evictionPauseMs('normal', 5, pace), 10_000);
    assert.equal(evictionPauseMs('full', 5, pace), 10_000);
    assert.equal(evictionPauseMs('partial', 51, pace), 100_000);
    assert.equal(evictionPauseMs('partial', 50, pace), Infinity);
  });
  it('go by what the operator says', () => {
    const own = { rate: 2, secondaryRate: 0, unhealthyZoneThreshold: 0.3, largeClusterSize: 3 };
    assert.equal(evictionPauseMs('normal', 5, own), 500);
    assert.equal(evictionPauseMs('partial', 4, own), Infinity, 'a rate of 0 is never');
    const counts = new ZoneTally(own);
    for (let i = 0; i < 10; i++) counts.count(node({ Ready: i < 7 ? 'True' : 'Unknown' }), 1);
    assert.equal(counts.state('/'), 'partial');
    counts.count(node({ Ready: 'True' }), 1);
    assert.equal(counts.state('/'), 'normal');
  });
});
