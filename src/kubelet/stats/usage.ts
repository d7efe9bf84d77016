/**
 * What a node, its pods and their containers use, as plain data: read by `usage-reader.ts`, written out by `summary.ts`, `resource-metrics.ts` and
 * `cadvisor-metrics.ts`. Counters only ever grow; times are milliseconds since the epoch.
 */

export interface CpuUsage {
  readonly timeMs: number;
  readonly nanoseconds: number;
  /** Billionths of a core over the last while; undefined until there were two readings. */
  readonly nanoCores: number | undefined;
}

export interface MemoryUsage {
  readonly timeMs: number;
  /** Everything charged, with caches. */
  readonly usageBytes: number;
  /** What cannot be taken back at once: the usage without inactive files. Eviction and autoscaling go by it. */
  readonly workingSetBytes: number;
  readonly rssBytes: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
  /** Undefined for none. */
  readonly limitBytes: number | undefined;
}

/** The finer figures of a cgroup, which only cAdvisor's names know. */
export interface CgroupDetails {
  readonly userNanoseconds: number;
  readonly systemNanoseconds: number;
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledNanoseconds: number;
  readonly cacheBytes: number;
  readonly mappedFileBytes: number;
  readonly swapBytes: number;
  readonly maxUsageBytes: number;
  readonly failures: number;
  readonly oomKills: number;
  readonly processes: number;
  readonly cpuShares: number;
  readonly cpuPeriodMicroseconds: number;
  /** Undefined for none. */
  readonly cpuQuotaMicroseconds: number | undefined;
}

export interface InterfaceUsage {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** What lies in a directory. */
export interface DirectoryUsage {
  readonly timeMs: number;
  readonly usedBytes: number;
  readonly inodesUsed: number;
}

/** A whole file system. */
export interface FilesystemUsage extends DirectoryUsage {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

export interface ContainerUsage {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly cgroup: string;
  readonly startedMs: number;
  readonly cpu: CpuUsage;
  readonly memory: MemoryUsage;
  readonly swapBytes: number | undefined;
  readonly details: CgroupDetails | undefined;
  /** Undefined where nobody asked for disks. */
  readonly rootfs: DirectoryUsage | undefined;
  readonly logs: DirectoryUsage | undefined;
}

export interface VolumeUsage {
  readonly name: string;
  readonly usage: DirectoryUsage;
  readonly claim: string | undefined;
  /** The file system that it is, or lies on, as its driver or the node tells of it; absent for the pod's own directories. */
  readonly filesystem?: FilesystemUsage;
}

export interface PodUsage {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly sandboxId: string;
  readonly cgroup: string;
  readonly startedMs: number;
  readonly cpu: CpuUsage;
  readonly memory: MemoryUsage;
  readonly details: CgroupDetails | undefined;
  readonly containers: readonly ContainerUsage[];
  /** Undefined for a pod on the host's network, which has none of its own. */
  readonly interfaces: readonly InterfaceUsage[] | undefined;
  readonly volumes: readonly VolumeUsage[];
}

export interface NodeUsage {
  readonly name: string;
  readonly startedMs: number;
  readonly cpu: CpuUsage;
  readonly memory: MemoryUsage;
  readonly memoryBytes: number;
  readonly interfaces: readonly InterfaceUsage[];
  readonly processes: { readonly limit: number; readonly running: number } | undefined;
  /** The kubelet's file system. */
  readonly fs: FilesystemUsage | undefined;
  readonly imageFs: FilesystemUsage | undefined;
  /** All pods together, and the kubelet itself. */
  readonly system: readonly { readonly name: 'kubelet' | 'pods'; readonly cpu: CpuUsage; readonly memory: MemoryUsage }[];
}

export interface Usage {
  readonly node: NodeUsage;
  readonly pods: readonly PodUsage[];
  /** Whether some container's figures could not be read. */
  readonly incomplete: boolean;
}
