/**
 * A disk that is full to the last byte: a node's, and the one under all of a cluster's files. What runs goes on and is reached; what is new waits and says why;
 * nothing that was acknowledged is lost; and all comes about by itself once there is room. See `docs/faults.md`. Without eviction, which would begin long before:
 * what that does is shown in `test/kubelet/eviction.test.ts`.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ConfigMap } from '../../src/api/kinds.ts';
import { realWorld } from '../../src/world/real.ts';
import { isRunning, restartsOf, shell, startRealPods } from '../conformance/real-pods.ts';
import { realKubelet } from '../kubelet/real-kubelet.ts';
import { eventually } from '../support/cluster-under-test.ts';
import { smallDisk } from '../support/small-disk.ts';

const mebi = 2 ** 20;
const skip = process.getuid?.() !== 0 && 'needs root';

/** Until the file system takes not one byte more; answers how to make room again. */
function fill(directory: string): () => void {
  const path = join(directory, 'filler');
  const file = openSync(path, 'w');
  for (const size of [mebi, 4096, 1]) {
    const block = Buffer.alloc(size);
    try {
      for (;;) writeSync(file, block);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  }
  closeSync(file);
  return () => rmSync(path);
}

/** The process on this host whose command line has these words in it. */
function processWith(words: string): number {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .find((name) => {
      try {
        return readFileSync(join('/proc', name, 'cmdline'), 'utf8').includes(words);
      } catch {
        // Ended meanwhile.
        return false;
      }
    });
  assert(found !== undefined, `no process says ${words}`);
  return Number(found);
}

describe('a full disk', { skip }, () => {
  test("of a node's: pods that run go on, new ones wait and say why, and start when there is room", async () => {
    const disk = await smallDisk(192, 50_000);
    const world = realWorld({ level: process.env['KUBELET_LOG'] ?? 'silent' });
    const it = await realKubelet(world, '10.201.19', () => ({ settings: { evictionThresholds: [] } }), disk.path);
    try {
      const probe = { exec: { command: ['true'] }, periodSeconds: 1 };
      it.put('steady', { livenessProbe: probe, readinessProbe: probe });
      await it.until(() => it.isReady('steady'));
      const { containerID } = it.main('steady') ?? {};
      const makeRoom = fill(disk.path);
      it.put(
        'new',
        { volumeMounts: [{ name: 'words', mountPath: '/words' }] },
        { volumes: [{ name: 'words', downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } }] },
      );
      await it.until(
        () => it.events().some((event) => /^(FailedMount|FailedCreatePodSandBox|Failed): .*(no space left on device|ENOSPC)/.test(event)),
        60_000,
      );
      assert.equal(it.pod('new')?.status.phase, 'Pending');
      assert.equal(it.pod('steady')?.status.phase, 'Running');
      makeRoom();
      await it.until(() => it.isReady('new') && it.isReady('steady'), 60_000);
      assert.equal(await it.output('new', 'cat /words/name'), 'new');
      assert.deepEqual([it.main('steady')?.containerID, it.main('steady')?.restartCount], [containerID, 0]);
    } finally {
      await it.close();
      await disk.close();
    }
  });

  test('under everything: what runs is reached, writes are refused in words that say why, nothing is lost, and what ended is started again when there is room', async () => {
    const disk = await smallDisk(2048, 400_000);
    const { TMPDIR: before } = process.env;
    try {
      process.env['TMPDIR'] = disk.path;
      const config = join(disk.path, 'kubelet.yaml');
      writeFileSync(config, "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nevictionHard: {nodefs.available: '0%'}\n");
      const pods = await startRealPods('--kubelet-config', config);
      try {
        const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 };
        await pods.create('steady', { containers: [{ name: 'main', image: 'k8ts.local/hello:1', livenessProbe: probe, readinessProbe: probe }] });
        await pods.create('ends', { containers: [shell('echo begun; while :; do sleep 0.2; done # ends while the disk is full')] });
        const { status } = await pods.until('steady', 'serves', isRunning);
        await pods.until('ends', 'runs', isRunning);
        const acknowledged = new Set<string>();
        const makeRoom = fill(disk.path);
        const refusal = await eventually('a write is refused', async () => {
          const name = `wrote-${acknowledged.size}`;
          const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { filling: name.padEnd(200_000, '.') } });
          const { code, stderr } = await pods.cluster.tryKubectl('create -f -', { input: body });
          if (code === 0) acknowledged.add(name);
          return code === 0 ? undefined : stderr;
        });
        assert.match(refusal, /no space left on the disk/);
        process.kill(processWith('# ends while the disk is full'), 'SIGKILL');
        await eventually('reads go on, and the pod is reached', async () => {
          const name = await pods.cluster.kubectl('get pod steady -o jsonpath={.metadata.name}');
          const answer = await fetch(`http://${status.podIP}:8080/healthz`);
          return name === 'steady' && answer.ok ? true : undefined;
        });
        makeRoom();
        await pods.until('ends', 'was started again', (pod) => isRunning(pod) && restartsOf(pod) > 0);
        const steady = await pods.until('steady', 'serves still', isRunning);
        assert.deepEqual([steady.status.containerStatuses?.[0]?.containerID, restartsOf(steady)], [status.containerStatuses?.[0]?.containerID, 0]);
        assert.equal(await pods.outputOf('new', { restartPolicy: 'Never', containers: [shell('echo well')] }), 'well\n');
        const kept = new Set((await pods.of(ConfigMap).list()).items.map(({ metadata }) => metadata.name));
        assert.deepEqual(
          [...acknowledged].filter((name) => !kept.has(name)),
          [],
        );
      } finally {
        await pods.close();
      }
    } finally {
      if (before === undefined) Reflect.deleteProperty(process.env, 'TMPDIR');
      else process.env['TMPDIR'] = before;
      await disk.close();
    }
  });
});
