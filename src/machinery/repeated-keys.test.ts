import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { repeatedJsonKeys, repeatedYamlKeys } from './repeated-keys.ts';

const found = (text: string): string[] => repeatedJsonKeys(text, JSON.parse(text));

const cases: readonly (readonly [string, readonly string[]])[] = [
  ['{}', []],
  ['{"a":1,"b":{"a":1}}', []],
  ['{"a":1,"a":2}', ['a']],
  ['{"a":1,"a":2,"a":3}', ['a']],
  ['{ "a" : 1 ,\n\t"a"\r\n:\t2 }', ['a']],
  ['{"spec":{"containers":[{"image":"x"},{"name":"a","image":"y","image":"z"}]}}', ['spec.containers[1].image']],
  ['{"metadata":{"labels":{"a":"1","a":"2"}},"metadata":{}}', ['metadata.labels.a', 'metadata']],
  ['[[{"a":1,"a":1}]]', ['[0][0].a']],
  ['{"a\\u0062":1,"ab":2}', ['ab']],
  ['{"__proto__":1,"__proto__":2}', ['__proto__']],
  ['{"":1,"":2}', ['']],
  ['{"a":"x\\":1","b":":","c":"\\":","d":"{\\"a\\":1,\\"a\\":2}"}', []],
  ['{"a":["a","a"],"b":[1,1]}', []],
  ['{"a":"\\\\","a":1}', ['a']],
];

for (const [text, expected] of cases) test(`${text}: ${expected.join(', ') || 'none'}`, () => assert.deepEqual(found(text), expected));

test('what JSON.stringify writes has none, whatever its strings look like', () => {
  const tricky = fc.constantFrom('"', '":', '{"a":1,"a":2}', ':', '\\', '\\"', '":"');
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      tricky,
      fc.string(),
      fc.integer(),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.oneof(tricky, fc.string()), tie('tree'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(tree, fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent);
      assert.deepEqual(found(text), []);
    }),
    { numRuns: 200 },
  );
});

test('one key put in twice is found, wherever it is', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.stringMatching(/^[a-z":\\]{1,4}$/), fc.nat(3)), { maxLength: 5 }), fc.string(), (steps, key) => {
      const inner = `{${JSON.stringify(key)}:1,"zz":[],${JSON.stringify(key)}:":"}`;
      const text = steps.reduceRight<string>(
        (inside, step) => (typeof step === 'number' ? `[${'0,'.repeat(step)}${inside}]` : `{"other":{},${JSON.stringify(step)}:${inside}}`),
        inner,
      );
      assert.equal(found(text).length, 1, text);
    }),
    { numRuns: 200 },
  );
});

test('no more are told than anyone reads', () => {
  const text = `{${Array.from({ length: 300 }, (_, i) => `"k${i}":1,"k${i}":2`).join(',')}}`;
  assert.equal(found(text).length, 100);
});

test('keys repeated in YAML come with their lines', () => {
  assert.deepEqual(repeatedYamlKeys('a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 4\n'), [
    { line: 6, key: 'a' },
    { line: 5, key: 'c' },
  ]);
  assert.deepEqual(repeatedYamlKeys('a: 1\nb: {a: 1}\nc:\n- a: 1\n- a: 2\n'), []);
});
