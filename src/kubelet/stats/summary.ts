/** `/stats/summary`, in upstream's shape. See https://kubernetes.io/docs/reference/instrumentation/node-metrics/ */
import { timestamp } from '../../world/world.ts';
import type { ContainerUsage, CpuUsage, DirectoryUsage, FilesystemUsage, InterfaceUsage, MemoryUsage, NodeUsage, PodUsage, Usage } from './usage.ts';

/** `onlyCpuAndMemory` is for `?only_cpu_and_memory=true`, as metrics-server of old asked. */
export function summaryOf({ node, pods }: Usage, onlyCpuAndMemory: boolean): object {
  return { node: nodeJson(node, onlyCpuAndMemory), pods: pods.map((pod) => podJson(pod, node, onlyCpuAndMemory)) };
}

function nodeJson(node: NodeUsage, onlyCpuAndMemory: boolean): object {
  const { name: nodeName, startedMs, cpu, memory, memoryBytes, interfaces, fs, imageFs, processes, system } = node;
  const figures = { startTime: timestamp(startedMs), cpu: cpuJson(cpu), memory: memoryJson(memory, memoryBytes > 0 ? memoryBytes : undefined) };
  if (onlyCpuAndMemory) return { nodeName, ...figures };
  return {
    nodeName,
    systemContainers: system.map((part) => ({
      name: part.name,
      startTime: timestamp(startedMs),
      cpu: cpuJson(part.cpu),
      memory: memoryJson(part.memory, part.memory.limitBytes),
    })),
    ...figures,
    ...(interfaces.length > 0 && { network: networkJson(interfaces, cpu.timeMs) }),
    ...(fs && { fs: filesystemJson(fs) }),
    ...(imageFs && { runtime: { imageFs: filesystemJson(imageFs), containerFs: filesystemJson(imageFs) } }),
    ...(processes && { rlimit: { time: timestamp(cpu.timeMs), maxpid: processes.limit, curproc: processes.running } }),
    swap: { time: timestamp(memory.timeMs), swapAvailableBytes: 0, swapUsageBytes: 0 },
  };
}

function podJson(pod: PodUsage, node: NodeUsage, onlyCpuAndMemory: boolean): object {
  const { name, namespace, uid, startedMs, cpu, memory, details, containers, interfaces, volumes } = pod;
  const figures = {
    podRef: { name, namespace, uid },
    startTime: timestamp(startedMs),
    containers: containers.map((container) => containerJson(container, node, onlyCpuAndMemory)),
    cpu: cpuJson(cpu),
    memory: memoryJson(memory, memory.limitBytes),
  };
  if (onlyCpuAndMemory) return figures;
  return {
    ...figures,
    ...(interfaces && interfaces.length > 0 && { network: networkJson(interfaces, cpu.timeMs) }),
    ...(volumes.length > 0 && {
      volume: volumes.map(({ name: volume, usage, claim, filesystem }) => ({
        ...directoryJson(usage, filesystem ?? node.fs),
        name: volume,
        ...(claim !== undefined && { pvcRef: { name: claim, namespace } }),
      })),
    }),
    ...(node.fs && { 'ephemeral-storage': directoryJson(ephemeralStorage(pod), node.fs) }),
    ...(details && { process_stats: { process_count: details.processes } }),
    ...(details && { swap: { time: timestamp(memory.timeMs), swapUsageBytes: details.swapBytes } }),
  };
}

function containerJson(container: ContainerUsage, node: NodeUsage, onlyCpuAndMemory: boolean): object {
  const { name, startedMs, cpu, memory, swapBytes, rootfs, logs } = container;
  const figures = { name, startTime: timestamp(startedMs), cpu: cpuJson(cpu), memory: memoryJson(memory, memory.limitBytes) };
  if (onlyCpuAndMemory) return figures;
  return {
    ...figures,
    ...(rootfs && { rootfs: directoryJson(rootfs, node.imageFs) }),
    ...(logs && { logs: directoryJson(logs, node.fs) }),
    ...(swapBytes !== undefined && { swap: { time: timestamp(memory.timeMs), swapUsageBytes: swapBytes } }),
  };
}

/** Writable layers, logs and the volumes that are nobody's claim: what a limit on ephemeral storage counts. */
export function ephemeralStorage({ containers, volumes, cpu: { timeMs } }: Pick<PodUsage, 'containers' | 'volumes' | 'cpu'>): DirectoryUsage {
  const parts = [
    ...containers.flatMap(({ rootfs, logs }) => [rootfs, logs]),
    ...volumes.filter(({ claim }) => claim === undefined).map(({ usage }) => usage),
  ].filter((part) => part !== undefined);
  return {
    timeMs,
    usedBytes: parts.reduce((all, { usedBytes }) => all + usedBytes, 0),
    inodesUsed: parts.reduce((all, { inodesUsed }) => all + inodesUsed, 0),
  };
}

function cpuJson({ timeMs, nanoseconds, nanoCores }: CpuUsage): object {
  return { time: timestamp(timeMs), ...(nanoCores !== undefined && { usageNanoCores: nanoCores }), usageCoreNanoSeconds: nanoseconds };
}

/** `boundBytes` is what there is at most, if anything says so. */
function memoryJson(memory: MemoryUsage, boundBytes: number | undefined): object {
  const { timeMs, usageBytes, workingSetBytes, rssBytes, pageFaults, majorPageFaults } = memory;
  return {
    time: timestamp(timeMs),
    ...(boundBytes !== undefined && { availableBytes: Math.max(0, boundBytes - workingSetBytes) }),
    usageBytes,
    workingSetBytes,
    rssBytes,
    pageFaults,
    majorPageFaults,
  };
}

/** The first interface is the main one. */
function networkJson(interfaces: readonly InterfaceUsage[], timeMs: number): object {
  const json = ({ name, rxBytes, rxErrors, txBytes, txErrors }: InterfaceUsage): object => ({ name, rxBytes, rxErrors, txBytes, txErrors });
  const main = interfaces.find(({ name }) => name === 'eth0') ?? interfaces[0];
  return { time: timestamp(timeMs), ...(main && json(main)), interfaces: interfaces.map(json) };
}

function filesystemJson(usage: FilesystemUsage): object {
  return directoryJson(usage, usage);
}

/** With the figures of the file system it lies on. */
function directoryJson({ timeMs, usedBytes, inodesUsed }: DirectoryUsage, fs: FilesystemUsage | undefined): object {
  return {
    time: timestamp(timeMs),
    ...(fs && { availableBytes: fs.availableBytes, capacityBytes: fs.capacityBytes }),
    usedBytes,
    ...(fs && { inodesFree: fs.inodesFree, inodes: fs.inodes }),
    inodesUsed,
  };
}
