/** Supervision of k8ts's own containerd: it outlives its starter, two live side by side, and nothing is left of it after `stop`. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pauseImageName } from '../../src/cluster/images/pause.ts';
import { shimsOf } from '../../src/kubelet/runtime/containerd-remains.ts';
import type { ContainerRuntime } from '../../src/kubelet/runtime/runtime.ts';
import { realWorld } from '../../src/world/real.ts';
import { privateContainerd } from './private-containerd.ts';

const world = realWorld({ level: 'silent' });

describe('a containerd of our own', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  test('is found again, and containers go on when it was killed', async () => {
    const host = await privateContainerd(world, '10.201.2');
    try {
      const { containerId } = await host.run('lasting', host.container(pauseImageName));
      const again = await host.start();
      assert.deepEqual([again.pid, again.reused], [host.containerd.pid, true]);

      process.kill(host.containerd.pid, 'SIGKILL');
      while (isRunning(host.containerd.pid)) await sleep(5);
      const restarted = await host.start();
      assert.equal(restarted.reused, false);
      // The connection from before finds its way, and its events come again.
      while (!(await answersAgain(host.runtime))) await sleep(5);
      assert.equal((await host.runtime.containerStatus(containerId)).state, 'running');
      const end = new AbortController();
      const exited = new Promise<void>((resolve) => {
        host.runtime.events(({ id, type }) => {
          if (id === containerId && type === 'exited') resolve();
        }, end.signal);
      });
      await host.runtime.stopContainer(containerId, 5);
      await exited;
      end.abort();
      assert.equal((await host.runtime.containerStatus(containerId)).exitCode, 0);
    } finally {
      await host.close();
    }
  });

  test('leaves nothing behind, and does not disturb another', async () => {
    const [one, two] = await Promise.all([privateContainerd(world, '10.201.3'), privateContainerd(world, '10.201.4')]);
    try {
      const [first, second] = [await one.run('same', one.container(pauseImageName)), await two.run('same', two.container(pauseImageName))];
      assert.deepEqual(
        (await one.runtime.listContainers()).map(({ id }) => id),
        [first.containerId],
      );
      await one.close();
      assert.equal((await two.runtime.containerStatus(second.containerId)).state, 'running');
    } finally {
      await two.close();
    }
    for (const { directory, containerd } of [one, two]) {
      assert.equal(isRunning(containerd.pid), false);
      assert.deepEqual((await shimsOf(containerd.socket)).filter(isRunning), []);
      assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(directory));
      assert.deepEqual(globSync(`/sys/fs/cgroup/{,*/}${containerd.controlGroup.slice(1)}`), []);
      assert.equal(existsSync(directory), false);
    }
  });
});

async function answersAgain(runtime: ContainerRuntime): Promise<boolean> {
  return runtime.version().then(
    () => true,
    () => false,
  );
}

/** A zombie does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
