/** Whom eviction takes first: pods that use more than they asked for, then those of lower priority, then those that exceed their request the most. */
import type { Pod } from '../../api/kinds.ts';
import type { DiskUsage } from '../disk-usage.ts';
import { isStaticPod } from '../static-pods/manifest.ts';
import { bytes, podRequest } from '../resources.ts';
import type { Signal } from './thresholds.ts';

export interface ContainerUsage {
  readonly name: string;
  readonly memoryBytes: number;
  /** Writable layer and logs. */
  readonly diskBytes: number;
}

/** Writable layers lie where the images do, logs and volumes where the kubelet's own files do: on the same file system, or on two. */
export type DiskPart = 'layers' | 'logs' | 'volumes';

export const allDiskParts: readonly DiskPart[] = ['layers', 'logs', 'volumes'];

export interface PodUsage {
  readonly memoryBytes: number;
  /** Of volumes those on the node's own disk. */
  readonly disk: Readonly<Record<DiskPart, DiskUsage>>;
  readonly processes: number;
  readonly containers: readonly ContainerUsage[];
}

export interface Candidate {
  readonly pod: Pod;
  readonly usage: PodUsage;
}

/** What runs short, as messages name it. */
export const resourceOf: Readonly<Record<Signal, string>> = {
  'memory.available': 'memory',
  'allocatableMemory.available': 'memory',
  'nodefs.available': 'ephemeral-storage',
  'nodefs.inodesFree': 'inodes',
  'imagefs.available': 'ephemeral-storage',
  'imagefs.inodesFree': 'inodes',
  'containerfs.available': 'ephemeral-storage',
  'containerfs.inodesFree': 'inodes',
  'pid.available': 'pids',
};

/** What of a pod takes room on the file system that a signal is about. */
export function diskPartsOf(signal: Signal, imagesApart: boolean): readonly DiskPart[] {
  if (!imagesApart) return allDiskParts;
  return signal.startsWith('nodefs.') ? ['logs', 'volumes'] : ['layers'];
}

export function diskOf({ disk }: Pick<PodUsage, 'disk'>, parts: readonly DiskPart[]): DiskUsage {
  return {
    bytes: parts.reduce((sum, part) => sum + disk[part].bytes, 0),
    inodes: parts.reduce((sum, part) => sum + disk[part].inodes, 0),
  };
}

/** The first is evicted first. */
export function rankForEviction(candidates: readonly Candidate[], signal: Signal, imagesApart: boolean): readonly Candidate[] {
  const parts = diskPartsOf(signal, imagesApart);
  const excess = ({ pod, usage }: Candidate): number => {
    switch (resourceOf[signal]) {
      case 'memory':
        return usage.memoryBytes - podRequest(pod, 'memory', bytes);
      case 'ephemeral-storage':
        return diskOf(usage, parts).bytes - podRequest(pod, 'ephemeral-storage', bytes);
      case 'inodes':
        return diskOf(usage, parts).inodes;
      default:
        return usage.processes;
    }
  };
  // Nobody can ask for process ids.
  const exceeds = (candidate: Candidate): number => (resourceOf[signal] !== 'pids' && excess(candidate) > 0 ? 0 : 1);
  return candidates.toSorted((a, b) => exceeds(a) - exceeds(b) || (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) || excess(b) - excess(a));
}

const systemCriticalPriority = 2_000_000_000;

/** A pod that the cluster or the node cannot do without: eviction passes it over. */
export function isCriticalPod(pod: Pod): boolean {
  return isStaticPod(pod) || (pod.spec.priority ?? 0) >= systemCriticalPriority;
}
