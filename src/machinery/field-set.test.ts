import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type FieldSet, difference, intersection, keyElement, parseFieldSet, printPaths, sorted, union, withoutPath } from './field-set.ts';

/** A set as the plain list of its paths, to check the tree against. */
function set(...paths: readonly string[]): FieldSet {
  return paths.reduce<FieldSet>((all, path) => {
    const nested = path.split(' ').reduceRight<FieldSet>((below, element) => ({ [element]: below }), {});
    return union(all, nested);
  }, {});
}

const element = fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:"y"');
const paths = fc.array(
  fc.array(element, { minLength: 1, maxLength: 3 }).map((elements) => elements.join(' ')),
  { maxLength: 6 },
);

function members(tree: FieldSet): Set<string> {
  return new Set(printPaths(tree));
}

test('the trees behave as sets of paths', () => {
  fc.assert(
    fc.property(paths, paths, (left, right) => {
      const [a, b] = [set(...left), set(...right)];
      assert.deepEqual(members(union(a, b)), members(a).union(members(b)));
      assert.deepEqual(members(difference(a, b)), members(a).difference(members(b)));
      assert.deepEqual(members(intersection(a, b)), members(a).intersection(members(b)));
    }),
  );
});

test('a set read from JSON is the set that was written', () => {
  fc.assert(fc.property(paths, (list) => assert.deepEqual(parseFieldSet(JSON.parse(JSON.stringify(set(...list)))), set(...list))));
});

test('a parent and its child are both members', () => {
  assert.deepEqual(set('f:a', 'f:a f:b'), { 'f:a': { '.': {}, 'f:b': {} } });
  assert.deepEqual(set('f:a f:b'), { 'f:a': { 'f:b': {} } });
});

test('paths are printed as messages have them', () => {
  const tree = set('f:spec f:ports k:{"containerPort":80,"protocol":"TCP"} f:name', 'f:metadata f:finalizers v:"x"', 'f:spec f:ports', 'f:a i:2');
  assert.deepEqual(printPaths(tree), ['.a[2]', '.metadata.finalizers[="x"]', '.spec.ports', '.spec.ports[containerPort=80,protocol="TCP"].name']);
});

test('keys of list items are in order', () => {
  assert.equal(keyElement({ protocol: 'TCP', containerPort: 80 }), 'k:{"containerPort":80,"protocol":"TCP"}');
  assert.deepEqual(parseFieldSet({ 'k:{"protocol":"TCP", "containerPort":80}': {} }), { 'k:{"containerPort":80,"protocol":"TCP"}': {} });
});

test('sorting puts the member mark first, then fields, keys and values', () => {
  assert.deepEqual(Object.keys(sorted({ 'v:1': {}, 'k:{"a":1}': {}, 'f:b': {}, 'f:a': {}, '.': {} })), ['.', 'f:a', 'f:b', 'k:{"a":1}', 'v:1']);
});

test('a path is removed with all below it, and parents left empty go too', () => {
  assert.deepEqual(withoutPath(set('f:a f:b f:c', 'f:a f:b', 'f:d'), ['f:a', 'f:b']), { 'f:d': {} });
  assert.deepEqual(withoutPath(set('f:a', 'f:a f:b'), ['f:a', 'f:b']), { 'f:a': {} });
  assert.deepEqual(withoutPath(set('f:a'), ['f:x']), { 'f:a': {} });
});

describe('malformed sets', () => {
  for (const value of [null, [], 'x', { x: {} }, { 'f:a': 1 }, { 'k:nope': {} }, { 'k:[1]': {} }, { 'i:x': {} }, { 'v:': {} }]) {
    test(JSON.stringify(value), () => assert.equal(parseFieldSet(value), undefined));
  }
});
