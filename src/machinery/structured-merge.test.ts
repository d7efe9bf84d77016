import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { deepFreeze } from './clone.ts';
import { equal } from './equal.ts';
import { difference, emptySet, intersection, isEmptySet, printPaths, union } from './field-set.ts';
import { compare } from './structured-compare.ts';
import { fieldsOf, mergeFields, prune } from './structured-merge.ts';
import { configMap, deployment, pod } from './test-schema.ts';

const name = fc.constantFrom('a', 'b', 'c');
const value = fc.constantFrom('1', '2');
const container = fc.record(
  {
    name,
    image: value,
    args: fc.array(value, { minLength: 1, maxLength: 2 }),
    env: fc.uniqueArray(fc.record({ name, value }), { selector: (item) => item.name, minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ['name'] },
);
const metadata = fc.record(
  { labels: fc.dictionary(name, value, { minKeys: 1 }), finalizers: fc.uniqueArray(name, { minLength: 1 }) },
  { requiredKeys: [] },
);
const spec = fc.record(
  {
    containers: fc.uniqueArray(container, { selector: (item) => item.name, minLength: 1 }),
    nodeSelector: fc.dictionary(name, value, { minKeys: 1 }),
    priority: fc.integer({ min: 0, max: 3 }),
  },
  { requiredKeys: [] },
);
/** An empty map is owned as such, which no longer shows once another fills it: left out here. */
const podObject = fc
  .record({ metadata, spec })
  .map((object) => Object.fromEntries(Object.entries(object).filter(([, part]) => Object.keys(part).length > 0)));

/** Equal, whatever the order of lists of named items. */
function sameSet(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  const changes = compare(a, b, pod);
  return isEmptySet(changes.added) && isEmptySet(changes.removed) && isEmptySet(changes.modified);
}

test('objects that are equal differ in nothing; what is added one way is removed the other way', () => {
  fc.assert(
    fc.property(podObject, podObject, (a, b) => {
      if (equal(a, b)) assert.ok(sameSet(a, b));
      const there = compare(deepFreeze(a), deepFreeze(b), pod);
      const back = compare(b, a, pod);
      assert.deepEqual(new Set(printPaths(there.added)), new Set(printPaths(back.removed)));
      assert.deepEqual(new Set(printPaths(there.modified)), new Set(printPaths(back.modified)));
    }),
  );
});

test('a merged configuration is there in full, and nothing else changed', () => {
  fc.assert(
    fc.property(podObject, podObject, (live, config) => {
      const merged = mergeFields(deepFreeze(live), deepFreeze(config), pod);
      assert.ok(sameSet(mergeFields(merged, config, pod), merged));
      const changes = compare(live, merged, pod);
      assert.ok(isEmptySet(changes.removed), 'a merge removes nothing');
      // An added parent counts as changed though only its children were applied.
      const applied = fieldsOf(config, pod);
      const strangers = difference(changes.modified, applied);
      assert.deepEqual(printPaths(strangers), []);
    }),
  );
});

test('pruning what was applied and is owned by nobody leaves exactly what is owned or was never applied', () => {
  fc.assert(
    fc.property(podObject, podObject, podObject, (mine, theirs, next) => {
      const live = mergeFields(mergeFields(mine, theirs, pod), next, pod);
      const last = fieldsOf(mine, pod);
      const owned = union(fieldsOf(theirs, pod), fieldsOf(next, pod));
      const pruned = prune(deepFreeze(live), pod, last, owned);
      const left = fieldsOf(pruned, pod);
      assert.deepEqual(printPaths(difference(owned, left)), [], 'what is owned stays');
      assert.deepEqual(printPaths(difference(intersection(last, left), owned)), [], 'what nobody owns goes');
    }),
  );
});

describe('lists', () => {
  const order: readonly [string, string, string, string][] = [
    ['new ones come after those before them', 'a b', 'x', 'a b x'],
    ['applied order wins', 'a b', 'b a', 'b a'],
    ['others keep their place among them', 'a o b p', 'a b', 'a o b p'],
    ['new between shared', 'a b', 'a x b', 'a x b'],
    ['all at once', 'a b o', 'b x a', 'b o x a'],
    ['repeated and unnamed live ones are not lost', 'a a ? o', 'x', 'a a ? o x'],
  ];
  for (const [name, live, applied, expected] of order) {
    test(`merged: ${name}`, () => {
      const of = (names: string): Record<string, unknown> => ({
        spec: { containers: names.split(' ').map((item) => (item === '?' ? { image: '?' } : { name: item })) },
      });
      assert.deepEqual(mergeFields(of(live), of(applied), pod), of(expected));
    });
  }
  test('an item without its key is left to validation', () => {
    const object = { spec: { containers: [{ image: 'x' }, { name: 'a' }, { name: 'a', image: 'y' }] } };
    assert.deepEqual(printPaths(compare({}, object, pod).added), ['.spec.containers[name="a"]', '.spec.containers[name="a"].name']);
  });
  test('an atomic list or map changes as a whole', () => {
    const of = (args: string[], disk: string): Record<string, unknown> => ({ spec: { containers: [{ name: 'a', args }], nodeSelector: { disk } } });
    assert.deepEqual(printPaths(compare(of(['1'], 'x'), of(['1', '2'], 'y'), pod).modified), [
      '.spec.containers[name="a"].args',
      '.spec.nodeSelector',
    ]);
  });
  test('a set changes member by member', () => {
    const of = (...finalizers: string[]): Record<string, unknown> => ({ metadata: { finalizers } });
    const changes = compare(of('a', 'b'), of('b', 'c'), pod);
    assert.deepEqual([printPaths(changes.added), printPaths(changes.removed)], [['.metadata.finalizers[="c"]'], ['.metadata.finalizers[="a"]']]);
  });
});

test('empty maps and lists count as leaves only when both sides are empty', () => {
  assert.deepEqual(printPaths(compare({}, { data: {} }, configMap).added), ['.data']);
  assert.deepEqual(printPaths(compare({ data: {} }, { data: { a: '1' } }, configMap).added), ['.data.a']);
  assert.deepEqual(printPaths(compare({ data: { a: '1' } }, { data: {} }, configMap).removed), ['.data.a']);
  assert.deepEqual(printPaths(compare({ data: { a: '1' } }, {}, configMap).removed), ['.data', '.data.a']);
});

test('values without a schema go key by key', () => {
  const untyped = { type: 'any' } as const;
  assert.deepEqual(printPaths(compare({ a: { b: 1 } }, { a: { b: 2, c: [1] } }, untyped).added), ['.a.c']);
  assert.deepEqual(mergeFields({ a: { b: 1 } }, { a: { c: 2 } }, untyped), { a: { b: 1, c: 2 } });
});

test('a struct that upstream holds by value is not added with its first field', () => {
  assert.deepEqual(printPaths(compare({}, { status: { replicas: 1 } }, deployment).added), ['.status.replicas']);
  assert.deepEqual(printPaths(compare({ spec: {} }, { spec: { strategy: { type: 'X', rollingUpdate: { maxSurge: 1 } } } }, deployment).added), [
    '.spec.strategy.rollingUpdate',
    '.spec.strategy.rollingUpdate.maxSurge',
    '.spec.strategy.type',
  ]);
});

test('nothing to prune leaves the object as it is', () => {
  const live = deepFreeze({ spec: { priority: 1 } });
  assert.deepEqual(prune(live, pod, emptySet, emptySet), live);
});
