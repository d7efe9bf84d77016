import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatCpuSet, parseCpuSet } from '../cpu-set.ts';
import { pretendMachine } from './pretend-machine.ts';
import { spreadCpus, takeCpus } from './take-cpus.ts';

const { cpus } = pretendMachine();
const list = (text: string): readonly number[] => parseCpuSet(text) ?? [];
const written = (taken: readonly number[] | undefined): string | undefined => taken && formatCpuSet(taken);

describe('CPUs are taken', () => {
  for (const [name, free, count, expected] of [
    ['as a whole node where it is needed', '0-15', 8, '0-3,8-11'],
    ['as a whole node that is free, not the one that is begun', '1-15', 8, '4-7,12-15'],
    ['core by core', '0-15', 4, '0-1,8-9'],
    ['from the node that has fewer left', '0-5,8-13', 4, '4-5,12-13'],
    ['as threads of one core before a new one is begun', '1-15', 1, '8'],
    ['beside those that were taken', '0-2,8-9,4', 5, '0-2,8-9'],
    ['all of them', '0-15', 16, '0-15'],
    ['none of them', '0-15', 0, ''],
  ] as const) {
    test(name, () => assert.equal(written(takeCpus(cpus, list(free), count)), expected));
  }

  test('not at all where they are too few', () => {
    assert.equal(takeCpus(cpus, [1, 2], 3), undefined);
    assert.equal(spreadCpus(cpus, [1, 2], 3, 1), undefined);
  });

  test('with a cache of their own where one is free', () => {
    assert.equal(written(takeCpus(cpus, list('0,2-15'), 4, { alignByCache: true })), '2-3,10-11');
    assert.equal(written(takeCpus(cpus, list('0,2-15'), 3, { alignByCache: true })), '0,8-9');
  });

  test('from all nodes the same, where one does not do', () => {
    assert.equal(written(spreadCpus(cpus, list('0-15'), 12, 2)), '0-2,4-6,8-10,12-14');
    assert.equal(written(spreadCpus(cpus, list('0-15'), 4, 2)), '0-1,8-9');
    // In steps of a core it cannot be shared: then as close together as can be.
    assert.equal(spreadCpus(cpus, list('0-15'), 9, 2)?.length, 9);
  });

  test('always so many, and only free ones', () => {
    const some = fc.uniqueArray(fc.nat(15), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(some, fc.nat(16), fc.boolean(), fc.constantFrom(1, 2), (free, count, alignByCache, step) => {
        for (const taken of [takeCpus(cpus, free, count, { alignByCache }), spreadCpus(cpus, free, count, step)]) {
          if (count > free.length) assert.equal(taken, undefined);
          else {
            assert.equal(new Set(taken).size, count);
            assert.ok(taken?.every((id) => free.includes(id)));
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
