/** The volume claims a pod mounts, looked up: what the plugins about volumes begin with. */
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../../api/kinds.ts';
import { controllerOf } from '../../../machinery/object.ts';
import type { Refusal } from '../../plugin.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { Snapshot } from '../../snapshot.ts';

export const bindCompleted = 'pv.kubernetes.io/bind-completed';
export const selectedNode = 'volume.kubernetes.io/selected-node';
export const noProvisioner = 'kubernetes.io/no-provisioner';

/** The pod's claims, or why it cannot go anywhere before they are in order. */
export function claimsOf(pod: PodInfo, snapshot: Snapshot): { readonly claims: readonly PersistentVolumeClaim[] } | { readonly refusal: Refusal } {
  const claims: PersistentVolumeClaim[] = [];
  for (const volume of pod.pod.spec.volumes ?? []) {
    const isOwn = volume.ephemeral !== undefined;
    const name = isOwn ? `${pod.pod.metadata.name}-${volume.name}` : volume.persistentVolumeClaim?.claimName;
    if (name === undefined) continue;
    const claim = snapshot.objects.claims.get(name, pod.namespace);
    const wrong = claim === undefined ? missing(name, isOwn) : wrongWith(claim, pod, isOwn);
    if (wrong !== undefined) return { refusal: { reasons: [wrong], unresolvable: true } };
    if (claim) claims.push(claim);
  }
  return { claims };
}

function missing(name: string, isOwn: boolean): string {
  return isOwn
    ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
    : `persistentvolumeclaim "${name}" not found`;
}

function wrongWith(claim: PersistentVolumeClaim, { pod }: PodInfo, isOwn: boolean): string | undefined {
  const { metadata, status, spec } = claim;
  if (status.phase === 'Lost') return `persistentvolumeclaim "${metadata.name}" bound to non-existent persistentvolume "${spec.volumeName ?? ''}"`;
  if (metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim "${metadata.name}" is being deleted`;
  if (isOwn && controllerOf(claim)?.uid !== pod.metadata.uid) {
    return `PVC ${metadata.namespace}/${metadata.name} was not created for pod ${pod.metadata.namespace}/${pod.metadata.name} (pod is not owner)`;
  }
  return undefined;
}

/** Bound for good, not only promised. */
export function isBound({ metadata, spec }: PersistentVolumeClaim): boolean {
  return Boolean(spec.volumeName) && metadata.annotations?.[bindCompleted] !== undefined;
}

export function classOf(claim: PersistentVolumeClaim, { objects }: Pick<Snapshot, 'objects'>): StorageClass | undefined {
  const name = claim.spec.storageClassName ?? '';
  return name === '' ? undefined : objects.storageClasses.get(name);
}

export function waitsForPod(claim: PersistentVolumeClaim, snapshot: Snapshot): boolean {
  return classOf(claim, snapshot)?.volumeBindingMode === 'WaitForFirstConsumer';
}

export function volumeOf({ spec }: PersistentVolumeClaim, { objects }: Pick<Snapshot, 'objects'>): PersistentVolume | undefined {
  return spec.volumeName ? objects.volumes.get(spec.volumeName) : undefined;
}
