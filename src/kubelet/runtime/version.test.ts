import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atLeast } from './version.ts';

test('versions of runtimes are compared by their numbers, whatever distributions add', () => {
  for (const version of ['2.1.0', 'v2.1.9+unknown', '2.10.0', '3.0.1', '2.1']) assert.ok(atLeast(version, '2.1'), version);
  for (const version of ['2.0.9', '1.6.20~ds1', '1.31.0', 'v1.7.24', 'unknown', '']) assert.ok(!atLeast(version, '2.1'), version);
});
