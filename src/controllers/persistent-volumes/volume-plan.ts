/** What becomes of a volume, seen from its own side: free, bound, released, given back. Follows upstream's `syncVolume`. */
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds.ts';
import { sameMode } from './match.ts';
import { boundByController, provisionedBy } from './names.ts';

export type VolumePlan =
  | { readonly do: 'phase'; readonly phase: 'Available' | 'Bound' }
  /** Its claim has yet to take it. */
  | { readonly do: 'wake-claim' }
  | { readonly do: 'mismatch' }
  | { readonly do: 'unbind' }
  | { readonly do: 'reclaim' };

/** `claim` is the one the volume is set aside for, if there is one of that UID. */
export function planVolume(volume: PersistentVolume, claim: PersistentVolumeClaim | undefined): VolumePlan {
  const { claimRef, persistentVolumeReclaimPolicy: policy } = volume.spec;
  if (claimRef === undefined) return { do: 'phase', phase: 'Available' };
  // Set aside by the user, for a claim that has not taken it yet.
  if ((claimRef.uid ?? '') === '') return { do: 'phase', phase: 'Available' };
  if (!claim) return { do: 'reclaim' };
  const { volumeName = '' } = claim.spec;
  if (volumeName === '') return sameMode(volume, claim) ? { do: 'wake-claim' } : { do: 'mismatch' };
  if (volumeName === volume.metadata.name) return { do: 'phase', phase: 'Bound' };
  // The claim took another. What was made for it alone is of no use any more.
  const wasMade = volume.metadata.annotations?.[provisionedBy] !== undefined && policy === 'Delete';
  return { do: wasMade ? 'reclaim' : 'unbind' };
}

/** The volume set aside for the claim; the same value when it is. */
export function boundVolume(volume: PersistentVolume, claim: PersistentVolumeClaim): PersistentVolume {
  const { uid, name, namespace, resourceVersion } = claim.metadata;
  const { claimRef } = volume.spec;
  if (claimRef?.uid === uid) return volume;
  const reserved = claimRef?.name === name && claimRef.namespace === namespace;
  return {
    ...volume,
    metadata: reserved ? volume.metadata : { ...volume.metadata, annotations: { ...volume.metadata.annotations, [boundByController]: 'yes' } },
    spec: { ...volume.spec, claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion } },
  };
}

/** The volume without what the controller put into it: a claim set down by the user stays, without the UID. */
export function unboundVolume(volume: PersistentVolume): PersistentVolume {
  const { claimRef, ...spec } = volume.spec;
  const { [boundByController]: byController, ...annotations } = volume.metadata.annotations ?? {};
  if (byController !== undefined) return { ...volume, metadata: { ...volume.metadata, annotations }, spec };
  const { uid: _uid, resourceVersion: _version, ...reserved } = claimRef ?? {};
  return { ...volume, spec: { ...spec, claimRef: reserved } };
}

/** What to do with a released volume. */
export type Reclaim =
  | { readonly do: 'keep' }
  /** A provisioner outside takes it away. */
  | { readonly do: 'leave-to-provisioner' }
  | { readonly do: 'remove'; readonly path: string }
  /** Its content goes, and then it is there for the next claim. */
  | { readonly do: 'recycle'; readonly path: string }
  | { readonly do: 'fail'; readonly reason: string; readonly message: string };

const removable = /^\/tmp\/.+/;

export function planReclaim({ metadata, spec }: PersistentVolume): Reclaim {
  switch (spec.persistentVolumeReclaimPolicy) {
    case 'Retain':
      return { do: 'keep' };
    case 'Recycle':
      if (spec.hostPath) return { do: 'recycle', path: spec.hostPath.path };
      return { do: 'fail', reason: 'VolumeFailedRecycle', message: 'No recycler plugin found for the volume!' };
    case 'Delete':
      break;
    default:
      return { do: 'fail', reason: 'VolumeUnknownReclaimPolicy', message: 'Volume has unrecognized PersistentVolumeReclaimPolicy' };
  }
  const provisioner = metadata.annotations?.[provisionedBy];
  if (provisioner !== undefined && !provisioner.startsWith('kubernetes.io/')) return { do: 'leave-to-provisioner' };
  const path = spec.hostPath?.path;
  const fail = (why: string): Reclaim => ({ do: 'fail', reason: 'VolumeFailedDelete', message: why });
  if (path === undefined) return fail(`error getting deleter volume plugin for volume "${metadata.name}": no deletable volume plugin matched`);
  // A directory of the host is removed only where nothing can be that matters.
  if (!removable.test(path) || path.split('/').includes('..')) return fail(`host_path deleter only supports /tmp/.+ but received provided ${path}`);
  return { do: 'remove', path };
}
