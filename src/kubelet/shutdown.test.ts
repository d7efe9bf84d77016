import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Node } from '../api/kinds.ts';
import { closeRigs, condition, podOf, putPod, rig } from './kubelet-rig.ts';

afterEach(closeRigs);

describe('a node that shuts down', () => {
  const settings = { shutdownGraceMs: 30_000, shutdownCriticalMs: 10_000 };

  test('ends its pods in time, the critical ones last', async () => {
    const it = rig((_, { name }) => (name === 'slow' ? { stopDelayMs: 60_000 } : { stopDelayMs: 3000 }), { settings });
    putPod(it, { priority: 2_000_000_000 }, { name: 'critical' });
    putPod(it, {}, { name: 'plain' });
    putPod(it, { containers: [{ name: 'slow', image: 'nginx:1' }] }, { name: 'slow' });
    const names = ['critical', 'plain', 'slow'];
    await it.world.advanceUntil(() => names.every((name) => condition(podOf(it, name), 'Ready') === 'True'), 5000);
    const startMs = it.world.clock.now();
    const ended = new Map<string, number>();
    let isDown = false;
    const down = it.kubelet.shutDown().then(() => (isDown = true));
    putPod(it, {}, { name: 'late' });
    await it.world.advanceUntil(() => {
      for (const name of [...names, 'late']) {
        if (podOf(it, name)?.status.phase === 'Failed' && !ended.has(name)) ended.set(name, it.world.clock.now() - startMs);
      }
      return isDown;
    }, 60_000);
    await down;
    assert.deepEqual([ended.get('plain'), ended.get('slow'), ended.get('critical')], [3000, 20_000, 23_000]);
    for (const name of names) {
      assert.equal(podOf(it, name)?.status.reason, 'Terminated');
      assert.equal(podOf(it, name)?.status.message, 'Pod was terminated in response to imminent node shutdown.');
      assert.equal(condition(podOf(it, name), 'DisruptionTarget'), 'True');
    }
    assert.equal(podOf(it, 'late')?.status.reason, 'NodeShutdown');
    const ready = (it.api.get('Node', 'node-1') as Node).status.conditions?.find(({ type }) => type === 'Ready');
    assert.deepEqual([ready?.status, ready?.message], ['False', 'node is shutting down']);
  });

  test('lets its pods run on when no time is set for it', async () => {
    const it = rig();
    putPod(it);
    await it.world.advanceUntil(() => condition(podOf(it), 'Ready') === 'True', 5000);
    await it.kubelet.shutDown();
    assert.equal(podOf(it)?.status.phase, 'Running');
  });
});
