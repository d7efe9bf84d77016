import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import { WorkQueue } from './work-queue.ts';

describe('a work queue', () => {
  it('hands out keys in the order they came, each once however often added', async () => {
    const queue = new WorkQueue(simulatedWorld(1));
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    assert.equal(queue.length, 3);
    assert.deepEqual([await queue.get(), await queue.get(), await queue.get()], ['a', 'b', 'c']);
    queue.close();
  });

  it('wakes the worker that waits longest', async () => {
    const queue = new WorkQueue(simulatedWorld(1));
    const workers = [queue.get(), queue.get()];
    queue.add('a');
    queue.add('b');
    assert.deepEqual(await Promise.all(workers), ['a', 'b']);
    queue.close();
  });

  it('gives a key to one worker at a time; added meanwhile, it comes again afterwards', async () => {
    const queue = new WorkQueue(simulatedWorld(1));
    queue.add('a');
    await queue.get();
    queue.add('a');
    queue.add('a');
    const other = queue.get();
    queue.add('b');
    assert.equal(await other, 'b');
    assert.equal(queue.length, 0);
    queue.done('a');
    assert.equal(queue.length, 1);
    assert.equal(await queue.get(), 'a');
    queue.done('a');
    assert.equal(queue.length, 0);
    queue.close();
  });

  it('adds later, at the earliest time asked for', async () => {
    const world = simulatedWorld(1);
    const queue = new WorkQueue(world);
    queue.addAfter('a', 5_000);
    queue.addAfter('a', 1_000);
    queue.addAfter('a', 9_000);
    queue.addAfter('now', 0);
    assert.equal(queue.length, 1);
    await world.advance(999);
    assert.equal(queue.length, 1);
    await world.advance(1);
    assert.equal(queue.length, 2);
    assert.equal(world.pendingTimers(), 0);
    queue.close();
  });

  it('doubles the pause after each failure up to a bound, until forgotten', async () => {
    const world = simulatedWorld(1);
    const queue = new WorkQueue(world, { maxDelayMs: 50 });
    async function pauseMs(): Promise<number> {
      const startMs = world.clock.now();
      queue.addRateLimited('a');
      await world.advanceUntil(() => queue.length > 0);
      assert.equal(await queue.get(), 'a');
      queue.done('a');
      return world.clock.now() - startMs;
    }
    const pauses: number[] = [];
    for (let i = 0; i < 6; i++) pauses.push(await pauseMs());
    assert.deepEqual(pauses, [5, 10, 20, 40, 50, 50]);
    assert.equal(queue.failures('a'), 6);
    queue.forget('a');
    assert.equal(await pauseMs(), 5);
    queue.close();
  });

  it('sends a worker home when its signal aborts, without losing a key', async () => {
    const queue = new WorkQueue(simulatedWorld(1));
    const abort = new AbortController();
    const leaving = queue.get(abort.signal);
    const staying = queue.get();
    abort.abort();
    queue.add('a');
    assert.deepEqual([await leaving, await staying], [undefined, 'a']);
    assert.equal(await queue.get(abort.signal), undefined);
    queue.close();
  });

  it('closes: workers go home, nothing is added, no timer stays', async () => {
    const world = simulatedWorld(1);
    const queue = new WorkQueue(world);
    const worker = queue.get();
    queue.addAfter('a', 1_000);
    queue.addRateLimited('b');
    queue.close();
    assert.equal(await worker, undefined);
    queue.add('c');
    queue.addAfter('d', 1);
    assert.equal(await queue.get(), undefined);
    assert.equal(queue.length, 0);
    assert.equal(world.pendingTimers(), 0);
  });
});
