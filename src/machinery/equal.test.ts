import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { equal } from './equal.ts';

const cases: readonly [string, unknown, unknown, boolean][] = [
  ['same scalars', 1, 1, true],
  ['different types', 1, '1', false],
  ['order of keys', { a: 1, b: 2 }, { b: 2, a: 1 }, true],
  ['an undefined field is an absent one', { a: 1, b: undefined }, { a: 1 }, true],
  ['undefined on the right', { a: 1 }, { a: 1, b: undefined }, true],
  ['null is not absent', { a: null }, {}, false],
  ['an extra field', { a: 1 }, { a: 1, b: 2 }, false],
  ['same number of fields, other names', { a: 1 }, { b: 1 }, false],
  ['order of items', [1, 2], [2, 1], false],
  ['a list is no object', [], {}, false],
  ['null is no object', null, {}, false],
  ['inherited names are not fields', {}, { toString: undefined }, true],
  ['deep', { a: [{ b: { c: 1 } }] }, { a: [{ b: { c: 2 } }] }, false],
];

for (const [name, a, b, expected] of cases) {
  test(name, () => {
    assert.equal(equal(a, b), expected);
    assert.equal(equal(b, a), expected);
  });
}

test('equal exactly when the sorted JSON is equal', () => {
  const json = (value: unknown): string =>
    JSON.stringify(value, (_, item: unknown) =>
      isRecord(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
    );
  const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
  // JSON writes -0 as 0.
  const value = fc.jsonValue({ maxDepth: 3, noUnicodeString: true }).map((item) => JSON.parse(JSON.stringify(item)) as unknown);
  fc.assert(fc.property(value, value, (a, b) => equal(a, b) === (json(a) === json(b))));
});
