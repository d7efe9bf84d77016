import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { patternOf } from './re2-pattern.ts';

describe("Go's patterns", () => {
  const cases: readonly (readonly [name: string, pattern: string, matches: readonly string[], others: readonly string[]])[] = [
    ['flags at the start', '(?i)^abc$', ['abc', 'ABC'], ['abcd']],
    ['flags hold to the end of the group', '^((?i)sun|mon)day$', ['SUNday', 'Monday', 'sunday'], ['sunDAY']],
    ['flags after a beginning hold for what follows and for other alternatives', '^(?:a(?i)b|c)$', ['ab', 'aB', 'c', 'C'], ['AB']],
    ['flags in the middle', '^(?i)(abort|warn)?$', ['', 'ABORT', 'warn'], ['x']],
    ['what looks like flags in a class is none', '^[(?i)]+$', ['(i)', '?'], ['I']],
    ['an escaped parenthesis', '^\\((?i)a\\)$', ['(A)'], ['A']],
    ['POSIX classes', '^[[:alpha:]_]+$', ['ab_'], ['a1']],
    ['beginning and end of the text', '\\Aab\\z', ['ab'], ['ab\n', 'cab']],
    ['named groups', '^(?P<x>a)$', ['a'], ['b']],
    ['classes of Unicode', '^\\pL+$', ['äb'], ['1']],
    ['a dot that is a line break', '(?s)^a.b$', ['a\nb'], ['ab']],
    ['punctuation escaped without need', '^a\\-b\\_c$', ['a-b_c'], ['ab']],
  ];
  for (const [name, pattern, matches, others] of cases) {
    test(name, () => {
      for (const text of matches) assert.ok(patternOf(pattern).test(text), text);
      for (const text of others) assert.ok(!patternOf(pattern).test(text), text);
    });
  }

  test('what is no pattern is an error', () => {
    for (const text of ['(', ')', '[', '(?i', 'a(?i))', '*']) assert.throws(() => patternOf(text), SyntaxError, text);
  });
});
