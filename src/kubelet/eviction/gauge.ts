/** Reads how much of everything the node has left, and how much of it each pod uses. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/kinds.ts';
import type { Cgroups } from '../cgroups.ts';
import { diskSpace } from '../disk-space.ts';
import { diskUsage, type DiskUsage } from '../disk-usage.ts';
import { containerNameLabel, podUidLabel } from '../labels.ts';
import { podDirectories, podLogDirectory, volumeDirectory } from '../pod-directories.ts';
import type { ContainerRuntime, ContainerStats } from '../runtime/runtime.ts';
import { cgroupReader } from '../stats/cgroup-counters.ts';
import type { LocalUsage } from './local-storage.ts';
import type { Reading, Readings } from './pressure.ts';
import type { ContainerUsage } from './rank.ts';
import type { Signal } from './thresholds.ts';

export interface Gauge {
  read(): Promise<Readings>;
  usage(pods: readonly Pod[]): Promise<ReadonlyMap<string, LocalUsage>>;
  /** Whether images, and with them containers' own files, lie on another file system than the kubelet's files. */
  imagesApart(): Promise<boolean>;
}

export interface GaugeOptions {
  readonly runtime: ContainerRuntime;
  readonly rootDir: string;
  readonly logRoot: string;
  readonly memoryBytes: number;
  readonly cgroups: Pick<Cgroups, 'parentOf' | 'root'>;
}

export function realGauge({ runtime, rootDir, logRoot, memoryBytes, cgroups }: GaugeOptions): Gauge {
  const groups = cgroupReader();
  let imageRoot: string | undefined;

  /** Empty when the runtime does not tell. */
  async function imagePlace(): Promise<string> {
    imageRoot ??= (await runtime.imageFsUsage()).mountpoint;
    return imageRoot;
  }

  async function imagesApart(): Promise<boolean> {
    const place = await imagePlace();
    if (place === '') return false;
    const [ours, theirs] = await Promise.all([rootDir, place].map((path) => stat(path).catch(() => undefined)));
    return ours !== undefined && theirs !== undefined && ours.dev !== theirs.dev;
  }

  async function usageOf(pod: Pod, stats: readonly ContainerStats[]): Promise<LocalUsage> {
    const directories = podDirectories(rootDir, pod.metadata.uid);
    const own = stats.filter(({ labels }) => labels[podUidLabel] === pod.metadata.uid);
    const volumes = new Map<string, DiskUsage>();
    for (const { name, emptyDir } of pod.spec.volumes ?? []) {
      if (!emptyDir || emptyDir.medium === 'Memory') continue;
      volumes.set(name, await diskUsage(volumeDirectory(directories, 'empty-dir', name)));
    }
    const names = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name);
    const logs = new Map(await Promise.all(names.map(async (name) => [name, await diskUsage(join(podLogDirectory(logRoot, pod), name))] as const)));
    const layers = own.map(({ writableLayerBytes, writableLayerInodes }) => ({ bytes: writableLayerBytes, inodes: writableLayerInodes }));
    const containers = names.map((name): ContainerUsage => {
      const mine = own.filter(({ labels }) => labels[containerNameLabel] === name);
      return {
        name,
        memoryBytes: mine.reduce((sum, { memoryWorkingSetBytes }) => sum + memoryWorkingSetBytes, 0),
        diskBytes: (logs.get(name)?.bytes ?? 0) + mine.reduce((sum, { writableLayerBytes }) => sum + writableLayerBytes, 0),
      };
    });
    return {
      // The pod's group has what its volumes in memory hold, too.
      memoryBytes:
        groups.counters(cgroups.parentOf(pod))?.memory.workingSetBytes ?? containers.reduce((sum, container) => sum + container.memoryBytes, 0),
      disk: { layers: together(layers), logs: together(logs.values()), volumes: together(volumes.values()) },
      processes: groups.details(cgroups.parentOf(pod))?.processes ?? 0,
      containers,
      volumes: new Map([...volumes].map(([name, { bytes }]) => [name, bytes])),
    };
  }

  return {
    imagesApart,
    async read() {
      const readings = new Map<Signal, Reading>();
      readings.set('memory.available', { available: await memoryAvailable(memoryBytes), capacity: memoryBytes });
      const { limitBytes, workingSetBytes = 0 } = groups.counters(cgroups.root)?.memory ?? {};
      if (limitBytes !== undefined) {
        readings.set('allocatableMemory.available', { available: Math.max(0, limitBytes - workingSetBytes), capacity: limitBytes });
      }
      const imagesAt = await imagePlace();
      await readFileSystem(readings, 'nodefs', rootDir);
      if (imagesAt !== '') await readFileSystem(readings, 'imagefs', imagesAt);
      await readFileSystem(readings, 'containerfs', imagesAt === '' ? rootDir : imagesAt);
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

async function readFileSystem(readings: Map<Signal, Reading>, name: 'nodefs' | 'imagefs' | 'containerfs', path: string): Promise<void> {
  const space = await diskSpace(path);
  if (space === undefined) return;
  readings.set(`${name}.available`, { available: space.availableBytes, capacity: space.capacityBytes });
  // Some file systems (btrfs) have no fixed number of inodes, and say 0.
  if (space.inodes > 0) readings.set(`${name}.inodesFree`, { available: space.inodesFree, capacity: space.inodes });
}

function together(usages: Iterable<DiskUsage>): DiskUsage {
  let [bytes, inodes] = [0, 0];
  for (const usage of usages) {
    bytes += usage.bytes;
    inodes += usage.inodes;
  }
  return { bytes, inodes };
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
