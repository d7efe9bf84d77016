import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DurationError, formatDuration, humanDuration, parseDuration } from './duration.ts';

const hour = 3_600_000;

describe('Go durations', () => {
  const cases: readonly [string, number, string][] = [
    ['0', 0, '0s'],
    ['5s', 5000, '5s'],
    ['1h', hour, '1h0m0s'],
    ['1h2m3.5s', hour + 123_500, '1h2m3.5s'],
    ['90m', 1.5 * hour, '1h30m0s'],
    ['-1.5h', -1.5 * hour, '-1h30m0s'],
    ['300ms', 300, '300ms'],
    ['1.5ms', 1.5, '1.5ms'],
    ['10us', 0.01, '10µs'],
    ['10µs', 0.01, '10µs'],
    ['7ns', 0.000007, '7ns'],
    ['.5s', 500, '500ms'],
  ];
  for (const [text, ms, printed] of cases) {
    test(text, () => {
      assert.equal(parseDuration(text), ms);
      assert.equal(formatDuration(ms), printed);
    });
  }
  for (const [text, message] of [
    ['', 'time: invalid duration ""'],
    ['5', 'time: missing unit in duration "5"'],
    ['5 s', 'time: unknown unit " s" in duration "5 s"'],
    ['s', 'time: invalid duration "s"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['1h-2m', 'time: unknown unit "h-" in duration "1h-2m"'],
  ] as const) {
    test(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseDuration(text), new DurationError(message)));
  }
  test('parsing undoes formatting', () => {
    fc.assert(fc.property(fc.integer({ min: -1e10, max: 1e10 }), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)));
  });
});

describe('ages', () => {
  const second = 1000;
  const minute = 60 * second;
  const day = 24 * hour;
  const cases: readonly [number, string][] = [
    [-5 * second, '<invalid>'],
    [0, '0s'],
    [45 * second, '45s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [2 * minute + 5 * second, '2m5s'],
    [10 * minute + 5 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [3 * hour + 40 * minute, '3h40m'],
    [9 * hour + 40 * minute, '9h'],
    [47 * hour, '47h'],
    [3 * day + 4 * hour, '3d4h'],
    [9 * day + 4 * hour, '9d'],
    [400 * day, '400d'],
    [800 * day, '2y70d'],
    [10 * 365 * day, '10y'],
  ];
  for (const [ms, text] of cases) test(text, () => assert.equal(humanDuration(ms), text));
});
