import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fieldOf } from './encoded-field.ts';

const encoded = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

test('a field is found by its path, whatever stands before it', () => {
  const object = { a: '"}\\', b: [{ labels: 1 }, '{'], metadata: { n: -1.5, labels: { x: 'ä"', y: '' }, z: null } };
  assert.deepEqual(fieldOf(encoded(object), ['metadata', 'labels']), object.metadata.labels);
  assert.equal(fieldOf(encoded(object), ['metadata', 'n']), -1.5);
  assert.equal(fieldOf(encoded(object), ['metadata', 'z']), null);
  assert.equal(fieldOf(encoded(object), ['metadata', 'label']), undefined);
  assert.equal(fieldOf(encoded(object), ['metadata', 'n', 'x']), undefined);
  assert.equal(fieldOf(encoded({}), ['metadata']), undefined);
});

test('it answers what parsing the whole would', () => {
  const name = fc.constantFrom('a', 'b', 'labels');
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      fc.string(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      tie('list'),
      tie('map'),
    ),
    list: fc.array(tie('tree'), { maxLength: 3 }),
    map: fc.dictionary(fc.oneof(name, fc.string({ maxLength: 3 })), tie('tree'), { maxKeys: 4 }),
  }));
  fc.assert(
    fc.property(tree, fc.array(name, { minLength: 1, maxLength: 3 }), (value, path) => {
      const object = JSON.parse(JSON.stringify({ a: value, b: value })) as unknown;
      let expected: unknown = object;
      for (const step of path) {
        const isMap = typeof expected === 'object' && expected !== null && !Array.isArray(expected) && Object.hasOwn(expected, step);
        expected = isMap ? (expected as Record<string, unknown>)[step] : undefined;
      }
      assert.deepEqual(fieldOf(encoded(object), path), expected);
    }),
    { numRuns: 300 },
  );
});
