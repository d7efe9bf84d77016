/** Volumes and claims for tests: small, whole, and different only in what a test says. */
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../api/kinds.ts';

export interface VolumeShape {
  readonly name?: string;
  readonly size?: string;
  readonly phase?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly deletionTimestamp?: string;
  readonly spec?: Partial<PersistentVolume['spec']>;
}

export function volumeOf({
  name = 'v',
  size = '5Gi',
  phase = 'Available',
  labels,
  annotations,
  deletionTimestamp,
  spec,
}: VolumeShape): PersistentVolume {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name,
      uid: `uid of ${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    },
    spec: { capacity: { storage: size }, accessModes: ['ReadWriteOnce'], persistentVolumeReclaimPolicy: 'Retain', ...spec },
    status: { phase },
  };
}

export interface ClaimShape {
  readonly size?: string;
  readonly annotations?: Record<string, string>;
  readonly spec?: Partial<PersistentVolumeClaim['spec']>;
  readonly status?: PersistentVolumeClaim['status'];
}

/** The claim `a/c` of UID `u`. */
export function claimOf({ size = '1Gi', annotations, spec, status = { phase: 'Pending' } }: ClaimShape): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: 'c',
      namespace: 'a',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(annotations && { annotations }),
    },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } }, ...spec },
    status,
  };
}

export function classOf(name: string, spec: Partial<StorageClass> = {}, annotations: Record<string, string> = {}, second = 0): StorageClass {
  const creationTimestamp = `2026-01-01T00:00:0${second}Z`;
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name, uid: `uid of ${name}`, resourceVersion: '1', creationTimestamp, annotations },
    provisioner: 'example.com/disks',
    volumeBindingMode: 'Immediate',
    ...spec,
  };
}
