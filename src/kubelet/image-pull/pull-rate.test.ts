import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulatedWorld } from '../../world/simulated.ts';
import type { PullProgress } from '../runtime/runtime.ts';
import { PullRate } from './pull-rate.ts';
import { progressWords, tellProgress } from './tell-progress.ts';

test('pulls beyond the burst wait for their turn', async () => {
  const world = simulatedWorld(1);
  const started: number[] = [];
  const rate = new PullRate(world.clock, { perSecond: 2, burst: 3 });
  const startMs = world.clock.now();
  const pulls = Array.from({ length: 5 }, () => rate.take().then(() => started.push(world.clock.now() - startMs)));
  await world.advance(5000);
  await Promise.all(pulls);
  assert.deepEqual(started, [0, 0, 0, 500, 1000]);
  const unbounded = new PullRate(world.clock, { perSecond: 0, burst: 0 });
  await Promise.all(Array.from({ length: 100 }, () => unbounded.take()));
});

test('a long pull says how far it is, more and more seldom, and nothing twice', async () => {
  const world = simulatedWorld(1);
  const told: string[] = [];
  let progress: PullProgress | undefined;
  let isSpoiled = false;
  const stop = tellProgress({
    clock: world.clock,
    read: async () => {
      if (isSpoiled) throw new Error('not known');
      return progress;
    },
    tell: (now) => told.push(progressWords(now)),
  });
  await world.advance(5000);
  assert.deepEqual(told, []);
  progress = { doneBytes: 5 * 2 ** 20, totalBytes: 50 * 2 ** 20 };
  await world.advance(10_000);
  assert.deepEqual(told, ['10% (5.0 of 50 MiB)']);
  await world.advance(20_000);
  isSpoiled = true;
  await world.advance(40_000);
  isSpoiled = false;
  progress = { doneBytes: 50 * 2 ** 20, totalBytes: 50 * 2 ** 20 };
  await world.advance(80_000);
  assert.deepEqual(told, ['10% (5.0 of 50 MiB)', '99% (50 of 50 MiB)']);
  stop();
  progress = { doneBytes: 0, totalBytes: 0 };
  await world.advance(600_000);
  assert.equal(told.length, 2);
  assert.equal(progressWords(progress), '0% (0.0 of 0.0 MiB)');
});
