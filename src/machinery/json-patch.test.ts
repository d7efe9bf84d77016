import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deepFreeze } from './clone.ts';
import { applyJsonPatch } from './json-patch.ts';
import { PatchError } from './patch-error.ts';

const document = deepFreeze({ a: { b: 1, 'c/d': 2, 'e~f': 3 }, list: ['x', 'y', 'z'], nothing: null });

describe('applied', () => {
  const cases: readonly [string, readonly object[], object][] = [
    ['add a field', [{ op: 'add', path: '/a/n', value: { deep: [1] } }], { ...document, a: { ...document.a, n: { deep: [1] } } }],
    ['add replaces a field that is there', [{ op: 'add', path: '/list', value: [] }], { ...document, list: [] }],
    ['add before an item', [{ op: 'add', path: '/list/1', value: 'n' }], { ...document, list: ['x', 'n', 'y', 'z'] }],
    ['add at the end', [{ op: 'add', path: '/list/-', value: 'n' }], { ...document, list: ['x', 'y', 'z', 'n'] }],
    ['add at the length', [{ op: 'add', path: '/list/3', value: 'n' }], { ...document, list: ['x', 'y', 'z', 'n'] }],
    ['remove an item', [{ op: 'remove', path: '/list/0' }], { ...document, list: ['y', 'z'] }],
    [
      'remove escaped names',
      [
        { op: 'remove', path: '/a/c~1d' },
        { op: 'remove', path: '/a/e~0f' },
      ],
      { ...document, a: { b: 1 } },
    ],
    ['replace', [{ op: 'replace', path: '/list/2', value: null }], { ...document, list: ['x', 'y', null] }],
    ['replace everything', [{ op: 'replace', path: '', value: { n: 1 } }], { n: 1 }],
    ['move', [{ op: 'move', from: '/list/0', path: '/list/2' }], { ...document, list: ['y', 'z', 'x'] }],
    ['move to itself', [{ op: 'move', from: '/a', path: '/a' }], document],
    [
      'copy',
      [
        { op: 'copy', from: '/list', path: '/a/l' },
        { op: 'add', path: '/a/l/-', value: 1 },
      ],
      { ...document, a: { ...document.a, l: ['x', 'y', 'z', 1] } },
    ],
    ['test passes, key order aside', [{ op: 'test', path: '/a', value: { 'e~f': 3, 'c/d': 2, b: 1 } }], document],
    ['test of null', [{ op: 'test', path: '/nothing', value: null }], document],
    ['test that something is absent', [{ op: 'test', path: '/absent', value: null }], document],
    ['a field called __proto__', [{ op: 'add', path: '/__proto__', value: 1 }], { ...document, ['__proto__']: 1 }],
  ];
  for (const [name, patch, expected] of cases) test(name, () => assert.deepEqual(applyJsonPatch(document, patch), expected));
});

describe('refused', () => {
  const cases: readonly [string, unknown, string, PatchError['fault']][] = [
    ['no list', { op: 'remove' }, 'json: cannot unmarshal object into Go value of type jsonpatch.Patch', 'malformed'],
    [
      'a missing field removed',
      [{ op: 'remove', path: '/a/zzz' }],
      'remove operation does not apply: doc is missing path: "/a/zzz": Unable to remove nonexistent key: zzz: missing value',
      'inapplicable',
    ],
    [
      'a missing parent',
      [{ op: 'add', path: '/x/y', value: 1 }],
      'add operation does not apply: doc is missing path: "/x/y": missing value',
      'inapplicable',
    ],
    [
      'a missing field replaced',
      [{ op: 'replace', path: '/x', value: 1 }],
      'replace operation does not apply: doc is missing key: /x: missing value',
      'inapplicable',
    ],
    ['a test that fails', [{ op: 'test', path: '/a/b', value: 2 }], 'testing value /a/b failed: test failed', 'inapplicable'],
    [
      'an index beyond the end',
      [{ op: 'add', path: '/list/4', value: 1 }],
      'add operation does not apply: doc is missing path: "/list/4": Unable to access invalid index: 4: invalid index referenced',
      'inapplicable',
    ],
    ['an unknown operation', [{ op: 'frob', path: '/a' }], 'Unexpected kind: frob', 'inapplicable'],
    [
      'a move into itself',
      [{ op: 'move', from: '/a', path: '/a/b' }],
      'jsonpatch move operation does not apply: cannot move /a into itself at /a/b',
      'inapplicable',
    ],
    [
      'too many operations',
      Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/nothing', value: null })),
      'The allowed maximum operations in a JSON patch is 10000, got 10001',
      'too-large',
    ],
  ];
  for (const [name, patch, message, fault] of cases) {
    test(name, () => {
      assert.throws(
        () => applyJsonPatch(document, patch),
        (error) => error instanceof PatchError && error.message === message && error.fault === fault,
      );
    });
  }
});

test('values in the patch and in the result are not shared', () => {
  const value = { deep: [1] };
  const result = applyJsonPatch({}, [
    { op: 'add', path: '/v', value },
    { op: 'add', path: '/v/deep/-', value: 2 },
  ]);
  assert.deepEqual(result, { v: { deep: [1, 2] } });
  assert.deepEqual(value, { deep: [1] });
});
