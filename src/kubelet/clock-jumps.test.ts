import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../world/world.ts';
import { simulatedWorld } from '../world/simulated.ts';
import { onClockJump } from './clock-jumps.ts';

test('a clock that is set is told of, ahead or back, and one that goes on is not', async () => {
  const world = simulatedWorld(1);
  let offsetMs = 0;
  const clock: Clock = { ...world.clock, now: () => world.clock.now() + offsetMs };
  const jumps: number[] = [];
  const watching = onClockJump(clock, (byMs) => jumps.push(byMs));
  await world.advance(60_000);
  assert.deepEqual(jumps, []);
  offsetMs = 4000;
  await world.advance(60_000);
  assert.deepEqual(jumps, [], 'a call may be late');
  offsetMs += 3_600_000;
  await world.advance(60_000);
  offsetMs -= 7_200_000;
  await world.advance(60_000);
  assert.deepEqual(jumps, [3_600_000, -7_200_000]);
  watching.cancel();
  offsetMs = 0;
  await world.advance(60_000);
  assert.equal(jumps.length, 2);
});
