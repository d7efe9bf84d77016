import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressRangeText, rangesOfBlock, type Range, union, without } from './ip-ranges.ts';

const range = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 8 }))
  .map(([first, length]): Range => ({ first: BigInt(first), last: BigInt(first + length) }));
const holds = (ranges: readonly Range[], value: bigint): boolean => ranges.some(({ first, last }) => first <= value && value <= last);

test('a union holds what any of its ranges holds, in order and with gaps between', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 6 }), (ranges) => {
      const joined = union(ranges);
      for (let value = 0n; value < 42n; value++) assert.equal(holds(joined, value), holds(ranges, value));
      for (const [index, { first }] of joined.entries()) assert(index === 0 || first > (joined[index - 1]?.last ?? 0n) + 1n);
    }),
  );
});

test('a range without its holes holds the rest', () => {
  fc.assert(
    fc.property(range, fc.array(range, { maxLength: 4 }), (whole, holes) => {
      const left = without(whole, holes);
      for (let value = 0n; value < 42n; value++) assert.equal(holds(left, value), holds([whole], value) && !holds(holes, value));
    }),
  );
});

test('a block with exceptions is what lies between them', () => {
  const { family, ranges } = rangesOfBlock({ cidr: '10.0.0.0/29', except: ['10.0.0.2/31', '10.0.0.7/32'] });
  assert.deepEqual(
    ranges.map((one) => addressRangeText(family, one)),
    ['10.0.0.0-10.0.0.1', '10.0.0.4-10.0.0.6'],
  );
  assert.deepEqual(rangesOfBlock({ cidr: 'fd00::/64', except: ['fd00::/64'] }), { family: 6, ranges: [] });
});
