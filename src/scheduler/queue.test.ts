import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulatedWorld } from '../world/simulated.ts';
import { defaultPlugins } from './plugins.ts';
import { SchedulingQueue } from './queue.ts';
import { podInfo } from './snapshot.ts';
import { testPod } from './test-objects.ts';

function setUp(): { world: ReturnType<typeof simulatedWorld>; queue: SchedulingQueue; popAll: () => string[] } {
  const world = simulatedWorld(1);
  const queue = new SchedulingQueue(defaultPlugins, world.clock, () => {});
  const popAll = (): string[] => {
    const keys: string[] = [];
    for (let info = queue.pop(); info; info = queue.pop()) keys.push(info.pod.metadata.name);
    return keys;
  };
  return { world, queue, popAll };
}

test('higher priority first, then first come', () => {
  const { queue, popAll } = setUp();
  for (const [name, priority] of [
    ['a', 0],
    ['b', 10],
    ['c', 0],
    ['d', 10],
    ['e', -5],
  ] as const)
    queue.put(podInfo(testPod(name, { priority })));
  assert.deepEqual(popAll(), ['b', 'd', 'a', 'c', 'e']);
  queue.close();
});

test('a removed pod is not handed out', () => {
  const { queue, popAll } = setUp();
  for (const name of ['a', 'b', 'c']) queue.put(podInfo(testPod(name)));
  queue.remove('default/a');
  queue.remove('default/c');
  assert.deepEqual(popAll(), ['b']);
  queue.close();
});

test('a refused pod waits for an event that helps what refused it', async () => {
  const { world, queue, popAll } = setUp();
  queue.put(podInfo(testPod('p')));
  popAll();
  queue.refused('default/p', new Set(['NodeResourcesFit']));
  queue.happened('node-taints-changed');
  await world.advance(60_000);
  assert.deepEqual(popAll(), []);
  queue.happened('assigned-pod-deleted');
  await world.advance(1_000);
  assert.deepEqual(popAll(), ['p']);
  queue.close();
});

test('back-off doubles up to ten seconds', async () => {
  const { world, queue, popAll } = setUp();
  queue.put(podInfo(testPod('p')));
  for (const backoffMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
    assert.deepEqual(popAll(), ['p']);
    queue.failed('default/p');
    await world.advance(backoffMs - 1);
    assert.deepEqual(popAll(), [], `before ${backoffMs} ms`);
    await world.advance(1);
  }
  queue.close();
  assert.equal(world.pendingTimers(), 0);
});

test('what no event helped is tried again after five minutes', async () => {
  const { world, queue, popAll } = setUp();
  queue.put(podInfo(testPod('p')));
  popAll();
  queue.refused('default/p', new Set(['NodeName']));
  await world.advance(270_000);
  assert.deepEqual(popAll(), []);
  await world.advance(60_000);
  assert.deepEqual(popAll(), ['p']);
  queue.close();
});

test('a gated pod is held until its gates are gone', () => {
  const { queue, popAll } = setUp();
  const gated = testPod('p', { schedulingGates: [{ name: 'example.com/wait' }] });
  queue.put(podInfo(gated));
  assert.deepEqual(popAll(), []);
  queue.put(podInfo({ ...gated, metadata: { ...gated.metadata, generation: 2 }, spec: { ...gated.spec, schedulingGates: [] } }));
  assert.deepEqual(popAll(), ['p']);
  queue.close();
});
