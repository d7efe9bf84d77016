import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clone, deepFreeze } from './clone.ts';
import { equal } from './equal.ts';

test('a clone equals its source and shares no object with it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const copy = clone(deepFreeze(value));
      assert.ok(equal(copy, value));
      if (typeof value === 'object' && value !== null) assert.notEqual(copy, value);
    }),
  );
});

test('a clone drops undefined fields and keeps a field called __proto__ a plain field', () => {
  assert.deepEqual(Object.keys(clone({ a: undefined, b: 1 })), ['b']);
  const copy = clone(JSON.parse('{"__proto__":{"x":1}}') as Record<string, unknown>);
  assert.ok(Object.hasOwn(copy, '__proto__'));
  assert.equal(copy['x'], undefined);
});

test('a frozen value cannot be changed, however deep', () => {
  const value = deepFreeze({ a: [{ b: 1 }] });
  assert.throws(() => {
    const [item] = value.a;
    if (item !== undefined) item.b = 2;
  }, TypeError);
});
