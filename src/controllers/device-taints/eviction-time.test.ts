import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ResourceClaim, ResourceSlice } from '../../api/kinds.ts';
import type { V1DeviceTaint, V1DeviceToleration } from '../../api/types.ts';
import { claimEvictionTime, taintsIn } from './eviction-time.ts';

const meta = (name: string) => ({ name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' });
const added = Date.parse('2026-01-01T00:01:00Z');
const seen = added + 5_000;
const sick: V1DeviceTaint = { key: 'sick', value: 'very', effect: 'NoExecute', timeAdded: '2026-01-01T00:01:00Z' };

function claim(tolerations: V1DeviceToleration[] = []): ResourceClaim {
  const results = [{ request: 'r', driver: 'd', pool: 'p', device: 'g0', tolerations }];
  return {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaim',
    metadata: { ...meta('c'), namespace: 'default' },
    spec: {},
    status: { allocation: { devices: { results } } },
  };
}

function slice(name: string, generation: number, taints: V1DeviceTaint[]): ResourceSlice {
  return {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceSlice',
    metadata: meta(name),
    spec: { driver: 'd', nodeName: 'n', pool: { name: 'p', generation, resourceSliceCount: 1 }, devices: [{ name: 'g0', taints }] },
  };
}

describe('pods of a tainted device go', () => {
  const exists = { key: 'sick', operator: 'Exists' };
  const cases: readonly [string, V1DeviceTaint[], V1DeviceToleration[], number | undefined][] = [
    ['never when there is no taint', [], [], undefined],
    ['never for what only keeps others away', [{ ...sick, effect: 'NoSchedule' }], [], undefined],
    ['at once when nobody tolerates it', [sick], [{ key: 'other', operator: 'Exists' }], added],
    ['when it is noticed, if the taint does not say since when', [{ key: 'sick', effect: 'NoExecute' }], [], seen],
    ['never when it is tolerated for good', [sick], [exists], undefined],
    ['when patience ends', [sick], [{ ...exists, tolerationSeconds: 60 }], added + 60_000],
    ['at once when there is none', [sick], [{ ...exists, tolerationSeconds: -1 }], added],
    [
      'when the shortest patience ends',
      [sick],
      [
        { ...exists, tolerationSeconds: 60 },
        { tolerationSeconds: 30, operator: 'Exists' },
      ],
      added + 30_000,
    ],
    ['for the taint that is not tolerated', [sick, { ...sick, key: 'worse' }], [exists], added],
  ];
  for (const [name, taints, tolerations, expected] of cases)
    it(name, () =>
      assert.equal(
        claimEvictionTime(claim(tolerations), () => taints, seen),
        expected,
      ),
    );
});

it('the newest generation of a pool says what is true of its devices', () => {
  const result = { request: 'r', driver: 'd', pool: 'p', device: 'g0' };
  assert.deepEqual(taintsIn([slice('old', 1, [sick]), slice('new', 2, [])], result), []);
  assert.deepEqual(taintsIn([slice('old', 1, []), slice('new', 2, [sick])], result), [sick]);
  assert.deepEqual(taintsIn([], result), []);
  assert.deepEqual(taintsIn([slice('a', 1, [sick])], { ...result, device: 'g1' }), []);
});
