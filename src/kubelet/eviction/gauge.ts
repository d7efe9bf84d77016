/** Reads how much of everything the node has left, and how much of it each pod uses. */
import { readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/kinds.ts';
import { diskUsage, type DiskUsage } from '../disk-usage.ts';
import { containerNameLabel, podUidLabel } from '../labels.ts';
import { podDirectories, podLogDirectory, volumeDirectory } from '../pod-directories.ts';
import type { ContainerRuntime, ContainerStats } from '../runtime/runtime.ts';
import type { LocalUsage } from './local-storage.ts';
import type { Reading, Readings } from './pressure.ts';
import type { ContainerUsage } from './rank.ts';
import type { Signal } from './thresholds.ts';

export interface Gauge {
  read(): Promise<Readings>;
  usage(pods: readonly Pod[]): Promise<ReadonlyMap<string, LocalUsage>>;
}

export interface GaugeOptions {
  readonly runtime: ContainerRuntime;
  readonly rootDir: string;
  readonly logRoot: string;
  readonly memoryBytes: number;
  /** The pod's cgroup, below the mountpoint. */
  readonly cgroupOf: (pod: Pod) => string;
}

export function realGauge({ runtime, rootDir, logRoot, memoryBytes, cgroupOf }: GaugeOptions): Gauge {
  let imageRoot: string | undefined;

  async function fileSystem(readings: Map<Signal, Reading>, name: 'nodefs' | 'imagefs', path: string): Promise<void> {
    const { bavail, bsize, blocks, ffree, files } = await statfs(path);
    readings.set(`${name}.available`, { available: bavail * bsize, capacity: blocks * bsize });
    // Some file systems (btrfs) have no fixed number of inodes, and say 0.
    if (files > 0) readings.set(`${name}.inodesFree`, { available: ffree, capacity: files });
  }

  async function usageOf(pod: Pod, stats: readonly ContainerStats[]): Promise<LocalUsage> {
    const directories = podDirectories(rootDir, pod.metadata.uid);
    const own = stats.filter(({ labels }) => labels[podUidLabel] === pod.metadata.uid);
    const volumes = new Map<string, number>();
    let inodes = 0;
    const measured = async (path: string): Promise<DiskUsage> => {
      const found = await diskUsage(path);
      inodes += found.inodes;
      return found;
    };
    for (const { name, emptyDir } of pod.spec.volumes ?? []) {
      if (!emptyDir || emptyDir.medium === 'Memory') continue;
      volumes.set(name, (await measured(volumeDirectory(directories, 'empty-dir', name))).bytes);
    }
    const names = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name);
    const containers = await Promise.all(
      names.map(async (name): Promise<ContainerUsage> => {
        const logs = await measured(join(podLogDirectory(logRoot, pod), name));
        const mine = own.filter(({ labels }) => labels[containerNameLabel] === name);
        return {
          name,
          memoryBytes: mine.reduce((sum, { memoryWorkingSetBytes }) => sum + memoryWorkingSetBytes, 0),
          diskBytes: logs.bytes + mine.reduce((sum, { writableLayerBytes }) => sum + writableLayerBytes, 0),
        };
      }),
    );
    const inContainers = containers.reduce((sum, { diskBytes }) => sum + diskBytes, 0);
    return {
      memoryBytes: own.reduce((sum, { memoryWorkingSetBytes }) => sum + memoryWorkingSetBytes, 0),
      diskBytes: inContainers + [...volumes.values()].reduce((sum, size) => sum + size, 0),
      inodes,
      processes: await processesIn(cgroupOf(pod)),
      containers,
      volumes,
    };
  }

  return {
    async read() {
      const readings = new Map<Signal, Reading>();
      readings.set('memory.available', { available: await memoryAvailable(memoryBytes), capacity: memoryBytes });
      await fileSystem(readings, 'nodefs', rootDir);
      imageRoot ??= (await runtime.imageFsUsage()).mountpoint;
      if (imageRoot !== '') await fileSystem(readings, 'imagefs', imageRoot).catch(() => undefined);
      const pids = await processIds();
      if (pids) readings.set('pid.available', pids);
      return readings;
    },
    async usage(pods) {
      const stats = await runtime.containerStats();
      return new Map(await Promise.all(pods.map(async (pod) => [pod.metadata.uid, await usageOf(pod, stats)] as const)));
    },
  };
}

/** As the kernel counts it: what could be had without swapping. */
async function memoryAvailable(otherwise: number): Promise<number> {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'));
  return match ? Number(match[1]) * 1024 : otherwise;
}

/** Threads count, as each takes an id. */
async function processIds(): Promise<Reading | undefined> {
  const [load, most, threads] = await Promise.all(
    ['/proc/loadavg', '/proc/sys/kernel/pid_max', '/proc/sys/kernel/threads-max'].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  const running = /\/(\d+) /.exec(load ?? '')?.[1];
  const capacity = Math.min(Number(most || Infinity), Number(threads || Infinity));
  return running === undefined || !Number.isFinite(capacity) ? undefined : { available: capacity - Number(running), capacity };
}

async function processesIn(cgroup: string): Promise<number> {
  for (const root of ['/sys/fs/cgroup/pids', '/sys/fs/cgroup']) {
    const text = await readFile(join(root, cgroup, 'pids.current'), 'utf8').catch(() => '');
    if (text !== '') return Number(text);
  }
  return 0;
}
