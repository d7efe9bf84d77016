import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulatedWorld } from './simulated.ts';
import { microTimestamp, timestamp } from './world.ts';

test('virtual time jumps from timer to timer, in order', async () => {
  const world = simulatedWorld(1);
  const seen: string[] = [];
  const start = world.clock.now();
  world.clock.after(300_000, () => seen.push(`after ${world.clock.now() - start}`));
  const every = world.clock.every(100_000, () => seen.push(`every ${world.clock.now() - start}`));
  await world.advance(310_000);
  every.cancel();
  assert.deepEqual(seen, ['every 100000', 'every 200000', 'after 300000', 'every 300000']);
  assert.equal(world.clock.now() - start, 310_000);
  assert.equal(world.pendingTimers(), 0);
});

test('a sleeper wakes at its time and can be aborted', async () => {
  const world = simulatedWorld(1);
  const controller = new AbortController();
  const slept = world.clock.sleep(1000).then(() => 'woke');
  const aborted = world.clock.sleep(1000, controller.signal).catch((error: unknown) => String(error));
  controller.abort(new Error('enough'));
  await world.advance(1000);
  assert.equal(await slept, 'woke');
  assert.equal(await aborted, 'Error: enough');
  assert.equal(world.pendingTimers(), 0);
});

test('code that a timer wakes runs before the next timer', async () => {
  const world = simulatedWorld(1);
  const seen: number[] = [];
  const start = world.clock.now();
  const run = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await world.clock.sleep(10);
      seen.push(world.clock.now() - start);
    }
  };
  const done = run();
  await world.advance(1000);
  await done;
  assert.deepEqual(seen, [10, 20, 30]);
});

test('the same seed gives the same names, ids and numbers', () => {
  const draw = (seed: number): unknown[] => {
    const { random } = simulatedWorld(seed);
    return [random.uid(), random.name(5), random.int(1000), random.bytes(4).toString('hex')];
  };
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
  assert.match(String(draw(7)[0]), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('waiting for what never comes ends with a plain sentence', async () => {
  const world = simulatedWorld(1);
  world.clock.every(60_000, () => {});
  await assert.rejects(
    world.advanceUntil(() => false, 600_000),
    /still not so after 600000 ms/,
  );
});

test('times are written as the API writes them', () => {
  assert.equal(timestamp(Date.UTC(2026, 10, 22, 17, 4, 5, 678)), '2026-11-22T17:04:05Z');
  assert.equal(microTimestamp(Date.UTC(2026, 10, 22, 17, 4, 5, 678)), '2026-11-22T17:04:05.678000Z');
});

test('a moment can be gone back to: time and chance are as they were, and timers as far away', async () => {
  const world = simulatedWorld(1);
  await world.advance(1000);
  const moment = world.moment();
  const drawn = world.random.uid();
  await world.advance(5000);
  const fired: number[] = [];
  world.clock.after(100, () => fired.push(world.clock.now()));
  world.resume(moment);
  assert.equal(world.random.uid(), drawn);
  await world.advance(100);
  assert.deepEqual(fired, [moment.nowMs + 100]);
});

test('times are whole milliseconds, as the system tells them', async () => {
  const world = simulatedWorld(1);
  const start = world.clock.now();
  await Promise.all([world.clock.sleep(1.2), world.advance(2)]);
  assert.equal(world.clock.now() - start, 2);
});
