/** The objects besides nodes and pods that plugins decide by. In a running scheduler these are informers' caches; in tests, lists. */
import {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  DeviceClass,
  Namespace,
  PersistentVolume,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
  ResourceClaim,
  ResourceSlice,
  Service,
  StatefulSet,
  StorageClass,
  VolumeAttachment,
} from '../api/kinds.ts';
import type { Kind } from '../api/kind.ts';
import { keyOf, type KubeObject } from '../machinery/object.ts';

export interface ObjectLister<T extends KubeObject> {
  get(name: string, namespace?: string): T | undefined;
  list(namespace?: string): readonly T[];
}

export interface ClusterObjects {
  readonly namespaces: ObjectLister<Namespace>;
  readonly services: ObjectLister<Service>;
  readonly replicationControllers: ObjectLister<ReplicationController>;
  readonly replicaSets: ObjectLister<ReplicaSet>;
  readonly statefulSets: ObjectLister<StatefulSet>;
  readonly disruptionBudgets: ObjectLister<PodDisruptionBudget>;
  readonly claims: ObjectLister<PersistentVolumeClaim>;
  readonly volumes: ObjectLister<PersistentVolume>;
  readonly storageClasses: ObjectLister<StorageClass>;
  readonly volumeAttachments: ObjectLister<VolumeAttachment>;
  readonly csiNodes: ObjectLister<CSINode>;
  readonly csiDrivers: ObjectLister<CSIDriver>;
  readonly storageCapacities: ObjectLister<CSIStorageCapacity>;
  readonly resourceClaims: ObjectLister<ResourceClaim>;
  readonly resourceSlices: ObjectLister<ResourceSlice>;
  readonly deviceClasses: ObjectLister<DeviceClass>;
}

/** `of` answers a lister for a kind. */
export function clusterObjects(of: <T extends KubeObject>(kind: Kind<T>) => ObjectLister<T>): ClusterObjects {
  return {
    namespaces: of(Namespace),
    services: of(Service),
    replicationControllers: of(ReplicationController),
    replicaSets: of(ReplicaSet),
    statefulSets: of(StatefulSet),
    disruptionBudgets: of(PodDisruptionBudget),
    claims: of(PersistentVolumeClaim),
    volumes: of(PersistentVolume),
    storageClasses: of(StorageClass),
    volumeAttachments: of(VolumeAttachment),
    csiNodes: of(CSINode),
    csiDrivers: of(CSIDriver),
    storageCapacities: of(CSIStorageCapacity),
    resourceClaims: of(ResourceClaim),
    resourceSlices: of(ResourceSlice),
    deviceClasses: of(DeviceClass),
  };
}

/** Objects as they are given, for tests and for asking "what if". */
export function listedObjects(objects: readonly KubeObject[]): ClusterObjects {
  return clusterObjects(<T extends KubeObject>(kind: Kind<T>): ObjectLister<T> => {
    // An object of this kind is a T: that is what a kind's name says.
    const own = objects.filter((object) => object.kind === kind.kind) as T[];
    const byKey = new Map(own.map((object) => [keyOf(object), object]));
    return {
      get: (name, namespace) => byKey.get(namespace === undefined ? name : `${namespace}/${name}`),
      list: (namespace) => (namespace === undefined ? own : own.filter(({ metadata }) => metadata.namespace === namespace)),
    };
  });
}
