import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FailedPodBackOff } from './failed-pod-back-off.ts';

describe('pods that fail again and again', () => {
  it('are replaced at once, then after pauses that double up to the longest', () => {
    const backOff = new FailedPodBackOff(10_000);
    let now = 0;
    const pauses = Array.from({ length: 7 }, () => {
      const pause = backOff.waitMs('a', now);
      now += pause;
      backOff.failed('a', now);
      return pause;
    });
    assert.deepEqual(pauses, [0, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    assert.equal(backOff.waitMs('b', now), 0, 'each key for itself');
  });

  it('begin anew after twice the longest pause of doing well', () => {
    const backOff = new FailedPodBackOff(4_000);
    for (let i = 0; i < 5; i++) backOff.failed('a', 0);
    backOff.failed('a', 8_000);
    assert.equal(backOff.waitMs('a', 8_000), 4_000);
    backOff.failed('a', 16_001);
    assert.equal(backOff.waitMs('a', 16_001), 1_000);
  });
});
