import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { normalTime, parseTime } from './time.ts';

describe('times in the form of the API', () => {
  const cases: readonly [string, string | undefined, string | undefined][] = [
    ['2024-05-06T07:08:09Z', '2024-05-06T07:08:09Z', '2024-05-06T07:08:09.000000Z'],
    ['2024-05-06T09:08:09+02:00', '2024-05-06T07:08:09Z', '2024-05-06T07:08:09.000000Z'],
    ['2024-05-06t07:08:09.123456789z', '2024-05-06T07:08:09Z', '2024-05-06T07:08:09.123456Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000000Z'],
    ['2023-02-29T00:00:00Z', undefined, undefined],
    ['2023-02-28T23:59:59Z', '2023-02-28T23:59:59Z', '2023-02-28T23:59:59.000000Z'],
    ['2023-00-28T00:00:00Z', undefined, undefined],
    ['2023-02-00T00:00:00Z', undefined, undefined],
    ['2023-02-28T00:60:00Z', undefined, undefined],
    ['2023-02-28T00:00:60Z', undefined, undefined],
    ['2023-02-28T0a:00:00Z', undefined, undefined],
    ['2O23-02-28T00:00:00Z', undefined, undefined],
    ['2024-13-01T00:00:00Z', undefined, undefined],
    ['2024-05-06T24:08:09Z', undefined, undefined],
    ['2024-05-06', undefined, undefined],
    ['2024-05-06 07:08:09Z', undefined, undefined],
    ['', undefined, undefined],
  ];
  for (const [text, seconds, micros] of cases) {
    test(JSON.stringify(text), () => assert.deepEqual([normalTime(text, 0), normalTime(text, 6)], [seconds, micros]));
  }
});

test('milliseconds of a time', () => {
  assert.equal(parseTime('1970-01-01T00:00:01Z'), 1000);
  assert.equal(parseTime('1970-01-01T00:00:01.5Z'), 1500);
  assert.equal(parseTime('1 May 2024'), Number.NaN);
});
