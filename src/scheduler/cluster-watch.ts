/** What informers tell, turned into the snapshot's state and into events for those who wait. */
import {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  DeviceClass,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ResourceClaim,
  ResourceSlice,
  StorageClass,
  VolumeAttachment,
} from '../api/kinds.ts';
import type { Kind } from '../api/kind.ts';
import type { Informers } from '../client/informer.ts';
import { equal } from '../machinery/equal.ts';
import { keyOf, type KubeObject } from '../machinery/object.ts';
import { type ClusterEvent, type ClusterEventName, nodeEvents, waitingPodEvents } from './cluster-event.ts';
import type { ClusterState } from './cluster-state.ts';
import { hasNode, isFinished } from './pod-info.ts';

export interface ClusterListener {
  happened(event: ClusterEvent): void;
  /** A pod without a node, new or changed. */
  waiting(pod: Pod, events: readonly ClusterEvent[]): void;
  /** The pod is gone, finished, on its way out or has a node. */
  settled(pod: Pod): void;
}

/** Answers the way to stop. */
export function watchCluster(informers: Informers, state: ClusterState, listener: ClusterListener): () => void {
  const stops = [watchNodes(informers, state, listener), watchPods(informers, state, listener), ...watchOthers(informers, listener)];
  stops.push(
    informers.of(Namespace).subscribe({
      updated(object, old) {
        if (equal(object.metadata.labels, old.metadata.labels)) return;
        state.namespaceLabelsChanged();
        listener.happened({ name: 'Namespace', object, old });
      },
    }),
  );
  return () => {
    for (const stop of stops) stop();
  };
}

function watchNodes(informers: Informers, state: ClusterState, listener: ClusterListener): () => void {
  return informers.of(Node).subscribe({
    added(object) {
      state.setNode(object);
      listener.happened({ name: 'NodeAdd', object });
    },
    updated(object, old) {
      state.setNode(object);
      for (const name of nodeEvents(object, old)) listener.happened({ name, object, old });
    },
    deleted: (node) => state.removeNode(node.metadata.name),
  });
}

function watchPods(informers: Informers, state: ClusterState, listener: ClusterListener): () => void {
  const seen = (pod: Pod, old?: Pod): void => {
    if (isFinished(pod) || hasNode(pod)) {
      listener.settled(pod);
      state.setPod(pod);
      for (const name of placedPodEvents(pod, old)) listener.happened({ name, object: pod, ...(old && { old }) });
    } else if (pod.metadata.deletionTimestamp !== undefined) {
      listener.settled(pod);
    } else {
      const events = old ? waitingPodEvents(pod, old).map((name): ClusterEvent => ({ name, object: pod, old })) : [];
      listener.waiting(pod, events);
    }
  };
  return informers.of(Pod).subscribe({
    added: (pod) => seen(pod),
    updated: seen,
    deleted(pod) {
      listener.settled(pod);
      state.removePod(keyOf(pod));
      if (hasNode(pod)) listener.happened({ name: 'AssignedPodDelete', object: pod });
    },
  });
}

function placedPodEvents(pod: Pod, old: Pod | undefined): ClusterEventName[] {
  if (isFinished(pod)) return old !== undefined && isFinished(old) ? [] : ['AssignedPodDelete'];
  if (old === undefined || !hasNode(old)) return ['AssignedPodAdd'];
  const names: ClusterEventName[] = [];
  if (!equal(pod.metadata.labels, old.metadata.labels)) names.push('AssignedPodUpdateLabel');
  const resized =
    pod.metadata.generation !== old.metadata.generation ||
    !equal(pod.status.containerStatuses?.map(allocated), old.status.containerStatuses?.map(allocated));
  if (resized) names.push('AssignedPodScaleDown');
  return names;
}

function allocated({ allocatedResources }: { readonly allocatedResources?: object }): object | undefined {
  return allocatedResources;
}

/** Kinds of which it is enough to know that something about them changed. */
function watchOthers(informers: Informers, { happened }: ClusterListener): (() => void)[] {
  const watch = <T extends KubeObject>(kind: Kind<T>, name: ClusterEventName): (() => void) =>
    informers.of(kind).subscribe({
      added: (object) => happened({ name, object }),
      updated: (object, old) => happened({ name, object, old }),
      deleted: (object) => happened({ name, object }),
    });
  return [
    watch(PersistentVolumeClaim, 'PersistentVolumeClaim'),
    watch(PersistentVolume, 'PersistentVolume'),
    watch(StorageClass, 'StorageClass'),
    watch(CSINode, 'CSINode'),
    watch(CSIDriver, 'CSIDriver'),
    watch(CSIStorageCapacity, 'CSIStorageCapacity'),
    watch(ResourceClaim, 'ResourceClaim'),
    watch(ResourceSlice, 'ResourceSlice'),
    watch(DeviceClass, 'DeviceClass'),
    informers.of(VolumeAttachment).subscribe({ deleted: (object) => happened({ name: 'VolumeAttachmentDelete', object }) }),
  ];
}
