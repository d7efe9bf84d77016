/**
 * Thresholds that follow from those that are set: what pods together may have is watched as the node's memory is, and the file system of containers as the one
 * it lies on. Upstream: `addAllocatableThresholds` and `UpdateContainerFsThresholds` of the eviction manager.
 */
import type { Signal, Threshold } from './thresholds.ts';

/** For a node that holds its pods together to what is allocatable: pods are ended in order before the kernel would end any of their processes. */
export function withAllocatableMemory(thresholds: readonly Threshold[]): readonly Threshold[] {
  const ofMemory = thresholds.filter(({ signal, graceMs }) => signal === 'memory.available' && graceMs === 0);
  return [...thresholds, ...ofMemory.map((threshold): Threshold => ({ ...threshold, signal: 'allocatableMemory.available' }))];
}

const containerSignals: Readonly<Partial<Record<Signal, Signal>>> = {
  'nodefs.available': 'containerfs.available',
  'nodefs.inodesFree': 'containerfs.inodesFree',
  'imagefs.available': 'containerfs.available',
  'imagefs.inodesFree': 'containerfs.inodesFree',
};

/** Containers' own files lie with the images, be that apart from the kubelet's files or with them. What was set for them is passed over, as upstream does. */
export function withContainerFs(thresholds: readonly Threshold[], imagesApart: boolean): readonly Threshold[] {
  const model = imagesApart ? 'imagefs.' : 'nodefs.';
  const set = thresholds.filter(({ signal }) => !signal.startsWith('containerfs.'));
  return [
    ...set,
    ...set.flatMap((threshold): Threshold[] => {
      const signal = containerSignals[threshold.signal];
      return signal === undefined || !threshold.signal.startsWith(model) ? [] : [{ ...threshold, signal }];
    }),
  ];
}
