import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withAllocatableMemory, withContainerFs } from './derived-thresholds.ts';
import { type Threshold, ThresholdError, parseSignalList, thresholdsOf, valueOf } from './thresholds.ts';

describe('thresholds', () => {
  test('are amounts or shares, hard or after a while', () => {
    const [memory, nodefs, soft] = thresholdsOf({
      hard: parseSignalList('memory.available<100Mi,nodefs.available<10%', '<'),
      soft: { 'memory.available': '1Gi' },
      softGracePeriods: { 'memory.available': '1m30s' },
      minimumReclaim: { 'nodefs.available': '500Mi' },
    });
    assert.equal(memory && valueOf(memory.amount, 2 ** 40), 100 * 2 ** 20);
    assert.equal(nodefs && valueOf(nodefs.amount, 1005), 100);
    assert.equal(nodefs?.minimumReclaim && valueOf(nodefs.minimumReclaim, 1), 500 * 2 ** 20);
    assert.deepEqual([soft?.signal, soft?.graceMs], ['memory.available', 90_000]);
  });

  test('of nothing are none', () => assert.deepEqual(thresholdsOf({ hard: { 'nodefs.available': '0%' } }), []));

  for (const [name, make, message] of [
    ['an unknown signal', () => parseSignalList('cpu.available<1', '<'), /unsupported eviction signal "cpu.available": one of memory.available/],
    ['no comparison', () => parseSignalList('memory.available=1', '<'), /invalid eviction threshold "memory.available=1": expected <signal><<value>/],
    ['one twice', () => parseSignalList('memory.available<1,memory.available<2', '<'), /duplicate eviction threshold for signal memory.available/],
    ['no amount', () => thresholdsOf({ hard: { 'memory.available': 'much' } }), /invalid eviction threshold "much"/],
    ['all of it', () => thresholdsOf({ hard: { 'memory.available': '100%' } }), /must be >= 0% and < 100%: "100%"/],
    ['less than nothing', () => thresholdsOf({ hard: { 'memory.available': '-1' } }), /must be positive: "-1"/],
    ['a soft one without grace', () => thresholdsOf({ hard: {}, soft: { 'memory.available': '1Gi' } }), /grace period must be specified/],
    [
      'a wrong grace',
      () => thresholdsOf({ hard: {}, soft: { 'memory.available': '1Gi' }, softGracePeriods: { 'memory.available': 'soon' } }),
      /invalid grace period "soon"/,
    ],
  ] as const) {
    test(`with ${name} are refused`, () => {
      assert.throws(make, (error: unknown) => error instanceof ThresholdError && message.test(error.message));
    });
  }
});

describe('thresholds that follow from others', () => {
  const set = thresholdsOf({
    hard: { 'memory.available': '5%', 'nodefs.available': '10%', 'imagefs.available': '15%', 'containerfs.available': '50%' },
    soft: { 'memory.available': '1Gi', 'nodefs.inodesFree': '7%' },
    softGracePeriods: { 'memory.available': '1m', 'nodefs.inodesFree': '1m' },
  });
  const of = (thresholds: readonly Threshold[], prefix: string) =>
    thresholds.filter(({ signal }) => signal.startsWith(prefix)).map(({ signal, amount, graceMs }) => [signal, amount.text, graceMs]);

  test('pods together have the hard one of memory', () => {
    assert.deepEqual(of(withAllocatableMemory(set), 'allocatableMemory'), [['allocatableMemory.available', '5%', 0]]);
    assert.deepEqual(withAllocatableMemory([]), []);
  });

  test("containers' files have those of the file system they lie on, and none of their own", () => {
    assert.deepEqual(of(withContainerFs(set, false), 'containerfs'), [
      ['containerfs.available', '10%', 0],
      ['containerfs.inodesFree', '7%', 60_000],
    ]);
    assert.deepEqual(of(withContainerFs(set, true), 'containerfs'), [['containerfs.available', '15%', 0]]);
  });
});
