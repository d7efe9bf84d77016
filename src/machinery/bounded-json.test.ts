import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxJsonDepth, parseBoundedJson } from './bounded-json.ts';

const nested = (depth: number): string => '[{"a":'.repeat(depth / 2) + '1' + '}]'.repeat(depth / 2);

test('parses what nests as deep as allowed, and no deeper', () => {
  assert.deepEqual(parseBoundedJson(nested(maxJsonDepth)), JSON.parse(nested(maxJsonDepth)));
  assert.throws(() => parseBoundedJson(nested(maxJsonDepth + 2)), { name: 'SyntaxError', message: 'exceeded max depth' });
  assert.throws(() => parseBoundedJson('['.repeat(100_000)), /exceeded max depth/);
});

test('brackets in strings and side by side do not count', () => {
  for (const value of [
    { a: '['.repeat(5_000) },
    { 'a"[': `\\"${'{'.repeat(5_000)}\\` },
    Array.from({ length: 5_000 }, () => [{}]),
    ['\\', '"'.repeat(3_000), '[['.repeat(3_000)],
  ])
    assert.deepEqual(parseBoundedJson(JSON.stringify(value)), value);
  assert.throws(() => parseBoundedJson(`"${'\\"'.repeat(3_000)}`), SyntaxError);
});
