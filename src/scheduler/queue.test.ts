import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { simulatedWorld } from '../world/simulated.ts';
import type { ClusterEvent } from './cluster-event.ts';
import { podInfo } from './pod-info.ts';
import { SchedulingQueue } from './queue.ts';
import { testNode, testPod } from './test-objects.ts';
import { testProfile } from './test-profile.ts';

function setUp(): { world: ReturnType<typeof simulatedWorld>; queue: SchedulingQueue; popAll: () => string[] } {
  const world = simulatedWorld(1);
  const profile = testProfile();
  const compare = profile.queueSort.compare ?? (() => 0);
  const queue = new SchedulingQueue({ profileOf: () => profile, compare, clock: world.clock, onReady: () => {} });
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

const nodeEvent = (name: ClusterEvent['name']): ClusterEvent => ({ name, object: testNode('n') });
const left = (cpu: string): ClusterEvent => ({ name: 'AssignedPodDelete', object: testPod('other', { nodeName: 'n' }, { cpu }) });

test('a refused pod waits for an event that helps what refused it', () => {
  const { queue, popAll } = setUp();
  queue.put(podInfo(testPod('p', {}, { cpu: '1' })));
  popAll();
  queue.refused('default/p', new Set(['NodeResourcesFit']));
  queue.happened(nodeEvent('NodeUpdateTaint'));
  assert.deepEqual(popAll(), []);
  queue.happened(left('1'));
  assert.deepEqual(popAll(), ['p']);
  queue.close();
});

test('an event that came while the pod was being tried is not missed', () => {
  const { queue, popAll } = setUp();
  queue.put(podInfo(testPod('p', {}, { cpu: '1' })));
  popAll();
  queue.happened(left('1'));
  queue.refused('default/p', new Set(['NodeResourcesFit']));
  assert.deepEqual(popAll(), ['p']);
  queue.refused('default/p', new Set(['NodeResourcesFit']));
  assert.deepEqual(popAll(), [], 'it counts once');
  queue.close();
});

test('of a pod that missed too many events to remember, it is assumed that one helps', () => {
  const { queue, popAll } = setUp();
  queue.put(podInfo(testPod('p')));
  popAll();
  for (let i = 0; i < 10_001; i++) queue.happened(nodeEvent('NodeUpdateTaint'));
  queue.refused('default/p', new Set(['NodeResourcesFit']));
  assert.deepEqual(popAll(), ['p']);
  queue.close();
});

test('with other pods to try, a pod that was helped waits for its back-off', async () => {
  const { world, queue } = setUp();
  queue.put(podInfo(testPod('p')));
  queue.pop();
  queue.refused('default/p', new Set(['NodeResourcesFit']));
  queue.put(podInfo(testPod('q')));
  queue.happened(nodeEvent('NodeAdd'));
  assert.equal(queue.pop()?.pod.metadata.name, 'q');
  queue.put(podInfo(testPod('r')));
  await world.advance(1000);
  assert.deepEqual(queue.sizes(), { active: 2, backoff: 0, unschedulable: 0, 'in-flight': 1 });
  queue.close();
});

test('the pod itself changing may help it', () => {
  const { queue, popAll } = setUp();
  const pod = testPod('p');
  queue.put(podInfo(pod));
  popAll();
  queue.refused('default/p', new Set(['TaintToleration']));
  queue.put(podInfo(pod), [{ name: 'PodUpdateLabel', object: pod }]);
  assert.deepEqual(popAll(), []);
  queue.put(podInfo(pod), [{ name: 'PodUpdateTolerations', object: pod }]);
  assert.deepEqual(popAll(), ['p']);
  queue.close();
});

test('no pod is ever lost: whatever happens, each is in one place and can be tried again', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 4 })), { maxLength: 60 }), (steps) => {
      const { queue } = setUp();
      const known = new Set<string>();
      const inFlight = new Set<string>();
      for (const [step, which] of steps) {
        const key = `default/p${which}`;
        if (step <= 1) {
          queue.put(podInfo(testPod(`p${which}`, { priority: which })));
          known.add(key);
        } else if (step === 2) {
          const popped = queue.pop();
          if (popped) inFlight.add(popped.key);
        } else if (step === 3) {
          queue.refused(key, new Set(['NodeResourcesFit']));
          inFlight.delete(key);
        } else if (step === 4) {
          queue.failed(key);
          inFlight.delete(key);
        } else if (step === 5) {
          queue.happened(nodeEvent('NodeAdd'));
        } else {
          queue.remove(key);
          known.delete(key);
          inFlight.delete(key);
        }
        const { active, backoff, unschedulable, 'in-flight': flying } = queue.sizes();
        assert.equal(active + backoff + unschedulable + flying, known.size);
        assert.equal(flying, inFlight.size);
        assert(active >= 0);
      }
      queue.close();
    }),
    { numRuns: 200 },
  );
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
  const free = { ...gated, spec: { ...gated.spec, schedulingGates: [] } };
  queue.put(podInfo(free), [{ name: 'PodSchedulingGatesEliminated', object: free }]);
  assert.deepEqual(popAll(), ['p']);
  queue.close();
});
