/** What a kubelet clears away on a real machine: instances that died, pods that went while it did not look, and its pods when the machine goes down. */
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Node } from '../../src/api/kinds.ts';
import { realWorld } from '../../src/world/real.ts';
import { type RealKubelet, realKubelet } from './real-kubelet.ts';

const world = realWorld({ level: process.env['KUBELET_LOG'] ?? 'silent' });
const graceful = 'trap "echo told; exit 0" TERM; while :; do sleep 0.1; done';

describe('a kubelet clears away', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let it: RealKubelet;
  before(async () => {
    const settings = { containerLogMaxBytes: 100_000, crashBackOffMaxMs: 1000, shutdownGraceMs: 20_000, shutdownCriticalMs: 10_000 };
    it = await realKubelet(world, '10.201.20', () => ({ settings }));
  });
  after(() => it.close());

  const logsOf = (uid: string, name: string): Promise<string[]> => readdir(join(it.host.directory, 'pod-logs', `default_${name}_${uid}`, 'main'));

  test('all but the last dead instance of a container, with the logs of the others and what was put aside of them', async () => {
    const write = 'head -c 200000 /dev/zero | tr "\\0" "x" | fold -w 100; sleep 2.5; exit 1';
    const { uid } = it.put('fails', { command: ['sh', '-c', write] }).metadata;
    await it.until(async () => (await logsOf(uid, 'fails').catch(() => [])).some((name) => name.startsWith('0.log.')));
    await it.until(() => (it.main('fails')?.restartCount ?? 0) >= 3, 60_000);
    await it.until(async () => {
      const containers = (await it.host.runtime.listContainers()).filter(({ labels }) => labels['io.kubernetes.pod.name'] === 'fails');
      const instances = new Set((await logsOf(uid, 'fails')).map((name) => Number.parseInt(name, 10)));
      return containers.length <= 2 && instances.size <= 2;
    });
    it.api.remove('Pod', 'fails', 'default', 0);
    await it.until(async () =>
      logsOf(uid, 'fails').then(
        () => false,
        () => true,
      ),
    );
  });

  test('pods that went while it was away: containers, mounts, directories, logs and control groups', async () => {
    const volumes = [
      { name: 'memory', emptyDir: { medium: 'Memory' } },
      { name: 'disk', emptyDir: {} },
    ];
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
    const { uid } = it.put('orphan', { volumeMounts }, { volumes }).metadata;
    it.put('stays');
    await it.until(() => it.isReady('orphan') && it.isReady('stays'));
    const { containerID } = it.main('stays') ?? {};
    const traces = async (): Promise<readonly string[]> => {
      const [sandboxes, containers, mounts, directories, logs] = await Promise.all([
        it.host.runtime.listPodSandboxes(),
        it.host.runtime.listContainers(),
        readFile('/proc/mounts', 'utf8'),
        readdir(join(it.host.directory, 'kubelet/pods')),
        readdir(join(it.host.directory, 'pod-logs')),
      ]);
      const groups = await readdir(`/sys/fs/cgroup/memory${it.host.containerd.controlGroup}/kubepods/besteffort`).catch(() => []);
      const all = [...sandboxes.map((sandbox) => sandbox.uid), ...containers.map(({ labels }) => labels['io.kubernetes.pod.uid'] ?? '')];
      return [...all, ...mounts.split('\n'), ...directories, ...logs, ...groups].filter((trace) => trace.includes(uid));
    };
    assert.ok((await traces()).length >= 5, 'it has left traces');
    it.stop();
    it.api.remove('Pod', 'orphan', 'default', 0);
    it.start();
    await it.kubelet.started;
    await it.until(async () => (await traces()).length === 0, 60_000);
    await it.until(() => it.isReady('stays'));
    assert.equal(it.main('stays')?.containerID, containerID);
  });

  test('its pods when the machine goes down, the critical ones last, and says so', async () => {
    const spec = { terminationGracePeriodSeconds: 30 };
    it.put('plain', { command: ['sh', '-c', graceful] }, spec);
    it.put('critical', { command: ['sh', '-c', graceful] }, { ...spec, priority: 2_000_000_000 });
    await it.until(() => it.isReady('plain') && it.isReady('critical'));
    const order: string[] = [];
    const down = it.kubelet.shutDown();
    await it.until(() => {
      for (const name of ['plain', 'critical']) if (it.pod(name)?.status.phase === 'Failed' && !order.includes(name)) order.push(name);
      return order.length === 2;
    });
    await down;
    assert.deepEqual(order, ['plain', 'critical']);
    for (const name of order) {
      const { reason, message } = it.pod(name)?.status ?? {};
      assert.deepEqual([reason, message], ['Terminated', 'Pod was terminated in response to imminent node shutdown.']);
      assert.equal(it.main(name)?.state?.terminated?.exitCode, 0, 'it was told, and ended by itself');
    }
    const ready = (it.api.get('Node', 'node-1') as Node | undefined)?.status.conditions?.find(({ type }) => type === 'Ready');
    assert.deepEqual([ready?.status, ready?.message], ['False', 'node is shutting down']);
  });
});
