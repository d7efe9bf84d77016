import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatCpuSet, parseCpuSet } from './cpu-set.ts';

test('sets of CPUs are written as the kernel writes them, and read back', () => {
  assert.equal(formatCpuSet([3, 0, 1, 7]), '0-1,3,7');
  assert.deepEqual(parseCpuSet('0-1,3'), [0, 1, 3]);
  assert.deepEqual(parseCpuSet(''), []);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { maxLength: 40 }), (cpus) => {
      assert.deepEqual(
        parseCpuSet(formatCpuSet(cpus)),
        [...cpus].sort((a, b) => a - b),
      );
    }),
    { numRuns: 100 },
  );
  for (const wrong of ['x', '1-', '3-1', '1,,2', '-1']) assert.equal(parseCpuSet(wrong), undefined, wrong);
});
