/**
 * A node that really runs out of memory, process ids, disk and inodes, and what its kubelet does about it. Other tests use the same machine: what is measured of
 * all of it is compared with what there is just then, and what must not depend on them is measured of the kubelet's own pods, or on a disk of its own.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { totalmem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, test } from 'node:test';
import type { Node } from '../../src/api/kinds.ts';
import type { V1ResourceRequirements } from '../../src/api/types.ts';
import { layerOf, ociArchive } from '../../src/cluster/images/oci.ts';
import type { KubeletSettings } from '../../src/kubelet/configuration/settings.ts';
import { thresholdsOf } from '../../src/kubelet/eviction/thresholds.ts';
import { realWorld } from '../../src/world/real.ts';
import { startRegistry } from '../images/registry.ts';
import { smallDisk } from '../support/small-disk.ts';
import { type RealKubelet, realKubelet } from './real-kubelet.ts';

const world = realWorld({ level: process.env['KUBELET_LOG'] ?? 'silent' });
const mebi = 2 ** 20;
const patienceMs = 60_000;

const guaranteed = (cpu: string, memory: string): V1ResourceRequirements => ({ requests: { cpu, memory }, limits: { cpu, memory } });
const thresholds = (hard: Readonly<Record<string, string>>): Partial<KubeletSettings> => ({
  evictionThresholds: thresholdsOf({ hard }),
  evictionTransitionMs: 1000,
});

function nodeCondition({ api }: RealKubelet, type: string): string | undefined {
  return (api.get('Node', 'node-1') as Node | undefined)?.status.conditions?.find((condition) => condition.type === type)?.status;
}

const isEvicted = (it: RealKubelet, name: string): boolean => it.pod(name)?.status.phase === 'Failed' && it.pod(name)?.status.reason === 'Evicted';

/** Holds so much memory, and says so. */
const eats = (mebibytes: number) => ({
  command: ['sh', '-c', `mkfifo /tmp/held; sleep 100000 < /tmp/held & dd if=/dev/zero bs=${mebibytes}M count=1 > /tmp/held`],
});

async function memoryAvailable(): Promise<number> {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}

async function processIdsAvailable(): Promise<number> {
  const [load = '', most, threads] = await Promise.all(
    ['/proc/loadavg', '/proc/sys/kernel/pid_max', '/proc/sys/kernel/threads-max'].map((path) => readFile(path, 'utf8')),
  );
  return Math.min(Number(most), Number(threads)) - Number(/\/(\d+) /.exec(load)?.[1]);
}

describe('a node that runs short', { concurrency: 3, skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  test('of what its pods may have of the memory ends the one beyond its request, before the kernel would', async () => {
    const allPods = 256;
    const it = await realKubelet(world, '10.201.16', () => ({
      settings: { ...thresholds({ 'memory.available': '100Mi' }), kubeReserved: { memory: String(totalmem() - allPods * mebi) } },
    }));
    try {
      it.put('within', { resources: guaranteed('100m', '40Mi') });
      it.put('beyond', { ...eats(180), resources: { requests: { memory: '8Mi' } } });
      await it.until(() => it.isReady('within') && it.isReady('beyond'));
      await it.until(() => isEvicted(it, 'beyond'), patienceMs);
      assert.match(
        it.pod('beyond')?.status.message ?? '',
        /^The node was low on resource: memory\. Threshold quantity: 100Mi, available: \d+\w*\. Container main was using \d+\w*, request is 8Mi, has larger consumption of memory\. $/,
      );
      assert.equal(it.main('beyond')?.state?.terminated?.reason === 'OOMKilled', false);
      assert.ok(it.events().includes('EvictionThresholdMet: Attempting to reclaim memory'));
      await it.until(() => nodeCondition(it, 'MemoryPressure') === 'False', patienceMs);
      assert.equal(it.isReady('within'), true);
      assert.equal(it.main('within')?.restartCount, 0);
    } finally {
      await it.close();
    }
  });

  test('of memory as a whole, or of process ids, ends the one that took them, and takes it up again with what is set differently', async () => {
    let settings = thresholds({});
    const it = await realKubelet(world, '10.201.17', () => ({ settings }));
    const startWith = async (hard: Readonly<Record<string, string>>): Promise<void> => {
      settings = thresholds(hard);
      it.stop();
      it.start();
      await it.kubelet.started;
    };
    try {
      it.put('calm', { resources: guaranteed('100m', '40Mi') }, { priority: 10 });
      it.put('eater', { ...eats(1000), resources: { requests: { memory: '8Mi' } } });
      it.put('bomb', { command: ['sh', '-c', 'i=0; while [ $i -lt 1200 ]; do sleep 100000 & i=$((i+1)); done; wait'] });
      await it.until(() => ['calm', 'eater', 'bomb'].every((name) => it.isReady(name)));
      const eaten = async (): Promise<number> =>
        Number(/^VmRSS:\s+(\d+)/m.exec(await it.output('eater', 'cat /proc/$(pidof dd)/status'))?.[1]) * 1024;
      await it.until(async () => (await eaten()) > 900 * mebi && Number(await it.output('bomb', 'ls -d /proc/[0-9]* | wc -l')) > 1200, patienceMs);

      await startWith({ 'memory.available': `${Math.round((await memoryAvailable()) / mebi) + 300}Mi` });
      await it.until(() => isEvicted(it, 'eater') || isEvicted(it, 'bomb') || isEvicted(it, 'calm'), patienceMs);
      await startWith({ 'pid.available': String((await processIdsAvailable()) + 500) });
      assert.deepEqual(
        ['calm', 'eater', 'bomb'].filter((name) => isEvicted(it, name)),
        ['eater'],
      );
      assert.match(
        it.pod('eater')?.status.message ?? '',
        /^The node was low on resource: memory\. .* request is 8Mi, has larger consumption of memory\. $/,
      );

      await it.until(() => isEvicted(it, 'bomb') || isEvicted(it, 'calm'), patienceMs);
      await startWith({});
      assert.match(it.pod('bomb')?.status.message ?? '', /^The node was low on resource: pids\. Threshold quantity: \d+, available: \d+\. $/);
      assert.ok(it.events().includes('EvictionThresholdMet: Attempting to reclaim pids'));
      assert.equal(it.isReady('calm'), true);
      assert.equal(it.main('calm')?.restartCount, 0);
      await it.until(() => ['MemoryPressure', 'PIDPressure'].every((type) => nodeCondition(it, type) === 'False'), patienceMs);
      it.put('late');
      await it.until(() => it.isReady('late'));
    } finally {
      await it.close();
    }
  });

  test('of disk takes back images that nobody uses, then ends who filled it, and the same with inodes; and takes pods again when there is room', async () => {
    const disk = await smallDisk(320, 20_000);
    const work = await mkdtemp(join(tmpdir(), 'k8ts-large-'));
    const registry = await startRegistry(await largeImage(work, 40));
    const settings = thresholds({ 'nodefs.available': '100Mi', 'nodefs.inodesFree': '4000' });
    const it = await realKubelet(world, '10.201.18', () => ({ settings }), disk.path);
    try {
      const image = `${registry.host}/public/large:1`;
      await it.host.runtime.pullImage(image, undefined, undefined);
      const scratch = { volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }] };
      const volumes = { volumes: [{ name: 'scratch', emptyDir: {} }] };
      it.put('modest', { resources: guaranteed('100m', '40Mi') });
      it.put('filler', scratch, volumes);
      await it.until(() => it.isReady('modest') && it.isReady('filler'));

      await it.output('filler', 'dd if=/dev/zero of=/scratch/first bs=1M count=150');
      await it.until(() => nodeCondition(it, 'DiskPressure') === 'True', patienceMs);
      await it.until(async () => (await it.host.runtime.imageStatus(image)) === undefined, patienceMs);
      await it.until(() => nodeCondition(it, 'DiskPressure') === 'False', patienceMs);
      assert.equal(it.isReady('filler'), true, 'the image was enough');

      await it.output('filler', 'dd if=/dev/zero of=/scratch/second bs=1M count=90');
      await it.until(() => isEvicted(it, 'filler'), patienceMs);
      assert.match(
        it.pod('filler')?.status.message ?? '',
        /^The node was low on resource: ephemeral-storage\. Threshold quantity: 100Mi, available: \d+\w*\. /,
      );
      it.put('refused');
      await it.until(() => isEvicted(it, 'refused'));
      assert.equal(it.pod('refused')?.status.message, 'The node had condition: [DiskPressure]. ');
      await it.until(() => nodeCondition(it, 'DiskPressure') === 'False', patienceMs);

      it.put('hoarder', { ...scratch, command: ['sh', '-c', 'cd /scratch; seq 17000 | xargs touch; sleep 100000'] }, volumes);
      await it.until(() => isEvicted(it, 'hoarder'), patienceMs);
      assert.match(it.pod('hoarder')?.status.message ?? '', /^The node was low on resource: inodes\. Threshold quantity: 4000, available: \d+\. $/);
      await it.until(() => nodeCondition(it, 'DiskPressure') === 'False', patienceMs);
      it.put('late');
      await it.until(() => it.isReady('late'));
      assert.equal(it.isReady('modest'), true);
      assert.equal(it.main('modest')?.restartCount, 0);
      assert.deepEqual(Object.fromEntries(it.kubelet.stats.counters.evictions), { 'nodefs.available': 1, 'nodefs.inodesFree': 1 });
    } finally {
      await it.close();
      await registry.close();
      await disk.close();
      await rm(work, { recursive: true });
    }
  });
});

/** An image of so much that no compression makes smaller. Answers its archive's path. */
async function largeImage(directory: string, mebibytes: number): Promise<string> {
  const [content, archive] = [join(directory, 'content'), join(directory, 'large.tar')];
  await writeFile(content, randomBytes(mebibytes * mebi));
  const layer = await layerOf(() => [{ path: 'content', type: 'file', mode: 0o644, content: { file: content, size: mebibytes * mebi } }]);
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  await pipeline(Readable.from(ociArchive([{ names: ['large:1'], architecture, config: {}, layers: [layer] }])), createWriteStream(archive));
  return archive;
}
