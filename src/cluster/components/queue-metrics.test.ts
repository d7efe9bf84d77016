import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exposition } from '../../machinery/exposition.ts';
import { WorkQueue } from '../../client/work-queue.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { QueueMetrics } from './queue-metrics.ts';

test('what happens in a queue is counted under upstream’s names', async () => {
  const world = simulatedWorld(1);
  const metrics = new QueueMetrics(world.clock);
  const queue = new WorkQueue(world, { observer: metrics.observe('replicaset-controller') });
  const shown = (name: string): string | undefined => {
    const out = new Exposition();
    metrics.render(out);
    return out
      .all()
      .find((line) => line.startsWith(`${name}{name="replicaset"}`))
      ?.split(' ')[1];
  };
  queue.add('a');
  queue.add('a');
  queue.add('b');
  assert.deepEqual([shown('workqueue_adds_total'), shown('workqueue_depth')], ['2', '2'], 'a key waits once');
  await world.advance(2000);
  assert.equal(await queue.get(), 'a');
  await world.advance(3000);
  assert.equal(shown('workqueue_depth'), '1');
  assert.equal(shown('workqueue_queue_duration_seconds_sum'), '2');
  assert.deepEqual([shown('workqueue_unfinished_work_seconds'), shown('workqueue_longest_running_processor_seconds')], ['3', '3']);
  queue.add('a');
  assert.equal(shown('workqueue_depth'), '1', 'a key that is worked on waits when that is done');
  queue.addRateLimited('a');
  queue.done('a');
  assert.deepEqual([shown('workqueue_depth'), shown('workqueue_retries_total')], ['2', '1']);
  assert.deepEqual([shown('workqueue_work_duration_seconds_sum'), shown('workqueue_work_duration_seconds_count')], ['3', '1']);
  assert.equal(shown('workqueue_unfinished_work_seconds'), '0');
  // A worker that waits has what comes at once.
  assert.deepEqual([await queue.get(), await queue.get()], ['b', 'a']);
  const next = queue.get();
  queue.add('c');
  assert.equal(await next, 'c');
  assert.equal(shown('workqueue_depth'), '0');
  queue.close();
  assert.equal(world.pendingTimers(), 0);
});
