/** Whom eviction takes first: pods that use more than they asked for, then those of lower priority, then those that exceed their request the most. */
import type { Pod } from '../../api/kinds.ts';
import { isStaticPod } from '../static-pods/manifest.ts';
import { bytes, podRequest } from '../resources.ts';
import type { Signal } from './thresholds.ts';

export interface ContainerUsage {
  readonly name: string;
  readonly memoryBytes: number;
  /** Writable layer and logs. */
  readonly diskBytes: number;
}

export interface PodUsage {
  readonly memoryBytes: number;
  /** Writable layers, logs and volumes on the disk. */
  readonly diskBytes: number;
  readonly inodes: number;
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
  'nodefs.available': 'ephemeral-storage',
  'nodefs.inodesFree': 'inodes',
  'imagefs.available': 'ephemeral-storage',
  'imagefs.inodesFree': 'inodes',
  'pid.available': 'pids',
};

/** The first is evicted first. */
export function rankForEviction(candidates: readonly Candidate[], signal: Signal): readonly Candidate[] {
  const excess = ({ pod, usage }: Candidate): number => {
    switch (resourceOf[signal]) {
      case 'memory':
        return usage.memoryBytes - podRequest(pod, 'memory', bytes);
      case 'ephemeral-storage':
        return usage.diskBytes - podRequest(pod, 'ephemeral-storage', bytes);
      case 'inodes':
        return usage.inodes;
      default:
        return usage.processes;
    }
  };
  const countsRequests = resourceOf[signal] === 'memory' || resourceOf[signal] === 'ephemeral-storage';
  const exceeds = (candidate: Candidate): number => (countsRequests && excess(candidate) > 0 ? 0 : 1);
  return candidates.toSorted((a, b) => exceeds(a) - exceeds(b) || (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) || excess(b) - excess(a));
}

const systemCriticalPriority = 2_000_000_000;

/** A pod that the cluster or the node cannot do without: eviction passes it over. */
export function isCriticalPod(pod: Pod): boolean {
  return isStaticPod(pod) || (pod.spec.priority ?? 0) >= systemCriticalPriority;
}
