/**
 * Things that happen to the cluster and may make a waiting pod fit, as upstream's `ClusterEvent`s. Each plugin names those after which a pod it refused is
 * worth another try, with a hint that may say "not this pod, not because of this".
 */
import type { Node, Pod } from '../api/kinds.ts';
import { equal } from '../machinery/equal.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { PodInfo } from './pod-info.ts';

export type ClusterEventName =
  | 'NodeAdd'
  | 'NodeUpdateAllocatable'
  | 'NodeUpdateLabel'
  | 'NodeUpdateTaint'
  | 'NodeUpdateUnschedulable'
  | 'NodeUpdateAnnotation'
  | 'AssignedPodAdd'
  | 'AssignedPodUpdateLabel'
  | 'AssignedPodScaleDown'
  | 'AssignedPodDelete'
  /** The waiting pod itself was changed. */
  | 'PodUpdateLabel'
  | 'PodScaleDown'
  | 'PodUpdateTolerations'
  | 'PodSchedulingGatesEliminated'
  | 'PodGeneratedResourceClaim'
  | 'PersistentVolumeClaim'
  | 'PersistentVolume'
  | 'StorageClass'
  | 'CSINode'
  | 'CSIDriver'
  | 'CSIStorageCapacity'
  | 'VolumeAttachmentDelete'
  | 'ResourceClaim'
  | 'ResourceSlice'
  | 'DeviceClass'
  | 'Namespace';

export interface ClusterEvent {
  readonly name: ClusterEventName;
  /** What it is now; for deletions, what it was last. */
  readonly object: KubeObject;
  /** What it was before, for updates. */
  readonly old?: KubeObject;
}

export interface Hint {
  readonly on: readonly ClusterEventName[];
  /** False when this event cannot help this pod; absent when it always may. */
  readonly helps?: (pod: PodInfo, event: ClusterEvent) => boolean;
}

/** What changed on a node that could make a pod fit; heartbeats change nothing. */
export function nodeEvents(node: Node, old: Node): ClusterEventName[] {
  const names: ClusterEventName[] = [];
  if (!equal(node.status.allocatable, old.status.allocatable)) names.push('NodeUpdateAllocatable');
  if (!equal(node.metadata.labels, old.metadata.labels)) names.push('NodeUpdateLabel');
  if (!equal(node.spec.taints, old.spec.taints)) names.push('NodeUpdateTaint');
  if (old.spec.unschedulable === true && node.spec.unschedulable !== true) names.push('NodeUpdateUnschedulable');
  if (!equal(node.metadata.annotations, old.metadata.annotations)) names.push('NodeUpdateAnnotation');
  return names;
}

/** What changed on a pod that waits, so far as it could help it. */
export function waitingPodEvents(pod: Pod, old: Pod): ClusterEventName[] {
  const names: ClusterEventName[] = [];
  if (!equal(pod.metadata.labels, old.metadata.labels)) names.push('PodUpdateLabel');
  if (pod.spec === old.spec) return pod.status === old.status ? names : withClaims(names, pod, old);
  if ((old.spec.schedulingGates?.length ?? 0) > 0 && (pod.spec.schedulingGates?.length ?? 0) === 0) names.push('PodSchedulingGatesEliminated');
  if (!equal(pod.spec.tolerations, old.spec.tolerations)) names.push('PodUpdateTolerations');
  if (!equal(requestsOf(pod), requestsOf(old))) names.push('PodScaleDown');
  return withClaims(names, pod, old);
}

function withClaims(names: ClusterEventName[], pod: Pod, old: Pod): ClusterEventName[] {
  if (!equal(pod.status.resourceClaimStatuses, old.status.resourceClaimStatuses)) names.push('PodGeneratedResourceClaim');
  return names;
}

function requestsOf(pod: Pod): unknown {
  return [pod.spec.resources?.requests, pod.spec.containers.map(({ resources }) => resources?.requests)];
}
