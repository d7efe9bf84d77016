import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percentOf, resolveIntOrPercent } from './int-or-percent.ts';

test('a number is itself, a percentage is rounded as asked', () => {
  assert.equal(resolveIntOrPercent(3, 10, true), 3);
  assert.equal(resolveIntOrPercent('25%', 10, true), 3);
  assert.equal(resolveIntOrPercent('25%', 10, false), 2);
  assert.equal(resolveIntOrPercent('0%', 10, true), 0);
  assert.equal(resolveIntOrPercent('100%', 7, false), 7);
  assert.equal(resolveIntOrPercent('150%', 4, false), 6);
});

test('other text is refused', () => {
  for (const text of ['5', '5x', '-5%', '%', '']) {
    assert.throws(() => resolveIntOrPercent(text, 1, true), /not a percentage/);
    assert.equal(percentOf(text), undefined);
  }
});
