import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextStep, secondsOf } from './node-ttl.ts';

test('the time grows with the cluster, and shrinks only when it is well below the bound it crossed', () => {
  let step = 0;
  const after = (nodes: number): number => secondsOf((step = nextStep(step, nodes)));
  assert.deepEqual([1, 100, 101, 95, 90, 89].map(after), [0, 0, 15, 15, 15, 0]);
  assert.deepEqual([501, 1001, 2001, 10_001].map(after), [30, 60, 300, 600]);
  assert.deepEqual([9000, 8999, 1799, 0].map(after), [600, 300, 60, 0]);
});
