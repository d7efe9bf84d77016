import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cgroupSettings, limitIn } from './cgroup-settings.ts';

const written = (unified: boolean, limits: Parameters<typeof cgroupSettings>[1]): string[] =>
  cgroupSettings(unified, limits).map(({ controller, file, value }) => `${controller}/${file}=${value}`);

describe("a pod's cgroup", () => {
  const limits = { cpuShares: 512, cpuPeriod: 100_000, cpuQuota: 50_000, memoryLimitBytes: 64 * 2 ** 20, pids: 100 };

  test('in version 1', () => {
    assert.deepEqual(written(false, limits), [
      'cpu/cpu.shares=512',
      'cpu/cpu.cfs_period_us=100000',
      'cpu/cpu.cfs_quota_us=50000',
      'memory/memory.limit_in_bytes=67108864',
      'pids/pids.max=100',
    ]);
  });

  test('in version 2', () => {
    assert.deepEqual(written(true, limits), ['/cpu.weight=20', '/cpu.max=50000 100000', '/memory.max=67108864', '/pids.max=100']);
  });

  test('without limits has only its share', () => {
    assert.deepEqual(written(true, { cpuShares: 2 }), ['/cpu.weight=1']);
    assert.deepEqual(written(false, { cpuShares: 2 }), ['cpu/cpu.shares=2']);
  });

  test('weights stay within what the kernel takes, and in the order of shares', () => {
    const weight = (cpuShares: number): number => Number(cgroupSettings(true, { cpuShares })[0]?.value);
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 262_144 }), fc.integer({ min: 2, max: 262_144 }), (a, b) => {
        assert.ok(weight(a) >= 1 && weight(a) <= 10_000);
        if (a <= b) assert.ok(weight(a) <= weight(b));
      }),
      { numRuns: 200 },
    );
  });

  for (const [text, limit] of [
    ['max\n', Infinity],
    ['-1\n', Infinity],
    ['max 100000\n', Infinity],
    ['50000 100000\n', 50_000],
    ['67108864\n', 67_108_864],
  ] as const) {
    test(`${JSON.stringify(text)} is a limit of ${limit}`, () => assert.equal(limitIn(text), limit));
  }
});
