import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff } from './back-off.ts';

test('doubles from 10 s to 5 min', () => {
  const backOff = new BackOff();
  const delays: number[] = [];
  let nowMs = 0;
  for (let count = 0; count < 8; count++) {
    backOff.count('a', nowMs);
    delays.push(backOff.untilMs('a', nowMs) - nowMs);
    nowMs += 60_000;
  }
  assert.deepEqual(delays, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
});

test('the first failure waits for nothing', () => assert.equal(new BackOff().untilMs('a', 5), 0));

test('forgets after ten minutes without a failure', () => {
  const backOff = new BackOff();
  backOff.count('a', 0);
  backOff.count('a', 1000);
  assert.equal(backOff.untilMs('a', 700_000), 0);
  backOff.count('a', 700_000);
  assert.equal(backOff.delayMs('a'), 10_000);
});
