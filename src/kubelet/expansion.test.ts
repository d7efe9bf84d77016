import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expand } from './expansion.ts';

const known = (name: string): string | undefined => ({ A: 'one', B: 'two', EMPTY: '' })[name];

for (const [text, expected] of [
  ['plain', 'plain'],
  ['$(A)', 'one'],
  ['$(A)-$(B)', 'one-two'],
  ['$(UNKNOWN)', '$(UNKNOWN)'],
  ['$(EMPTY)', ''],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$one'],
  ['$$$$(A)', '$$(A)'],
  ['$A and $', '$A and $'],
  ['$(A', '$(A'],
] as const) {
  test(`${text} becomes ${expected}`, () => assert.equal(expand(text, known), expected));
}
