import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type HeapTimer, TimerHeap } from './timer-heap.ts';

test('timers come out by time, then by age, without those that were cancelled', () => {
  const drawn = fc.array(fc.record({ atMs: fc.nat(20), cancelled: fc.boolean() }), { maxLength: 200 });
  fc.assert(
    fc.property(drawn, (wanted) => {
      const heap = new TimerHeap<HeapTimer>();
      const timers = wanted.map(({ atMs }, id): HeapTimer => ({ id, atMs, cancelled: false }));
      for (const timer of timers) heap.add(timer);
      for (const [id, timer] of timers.entries()) if (wanted[id]?.cancelled) heap.cancel(timer);
      const left = timers.filter(({ cancelled }) => !cancelled);
      assert.equal(heap.size, left.length);
      const taken: HeapTimer[] = [];
      for (let timer = heap.take(); timer !== undefined; timer = heap.take()) taken.push(timer);
      assert.deepEqual(
        taken,
        left.toSorted((a, b) => a.atMs - b.atMs || a.id - b.id),
      );
    }),
    { numRuns: 200 },
  );
});

test('cancelled timers do not pile up', () => {
  const heap = new TimerHeap<HeapTimer>();
  for (let id = 0; id < 10_000; id++) {
    const timer = { id, atMs: id, cancelled: false };
    heap.add(timer);
    heap.cancel(timer);
    heap.cancel(timer);
  }
  assert.equal(heap.size, 0);
  assert.equal(heap.first(), undefined);
});
