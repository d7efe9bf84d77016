/** A claim's status and the rest of it as they are to be once it is bound, or not yet, or no more. The same value when nothing changes. */
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds.ts';
import { equal } from '../../machinery/equal.ts';
import { bindCompleted, boundByController, preResizeCapacity } from './names.ts';

export function boundClaim(claim: PersistentVolumeClaim, volume: PersistentVolume): PersistentVolumeClaim {
  const { annotations = {} } = claim.metadata;
  const named = claim.spec.volumeName === volume.metadata.name;
  if (named && annotations[bindCompleted] !== undefined) return claim;
  return {
    ...claim,
    metadata: { ...claim.metadata, annotations: { ...annotations, ...(!named && { [boundByController]: 'yes' }), [bindCompleted]: 'yes' } },
    spec: { ...claim.spec, volumeName: volume.metadata.name },
  };
}

export function withBoundStatus(claim: PersistentVolumeClaim, volume: PersistentVolume): PersistentVolumeClaim {
  const { status } = claim;
  const { accessModes, capacity = {}, volumeAttributesClassName } = volume.spec;
  const next: PersistentVolumeClaim['status'] = { ...status, phase: 'Bound', ...(accessModes && { accessModes }) };
  // Size and attributes are the volume's when it is bound; what changes them later says so itself.
  if (status.phase !== 'Bound') {
    const before = volume.metadata.annotations?.[preResizeCapacity];
    next.capacity = before === undefined ? capacity : { ...capacity, storage: before };
    if (volumeAttributesClassName !== undefined) next.currentVolumeAttributesClassName = volumeAttributesClassName;
    else delete next.currentVolumeAttributesClassName;
  }
  return equal(next, status) ? claim : { ...claim, status: next };
}

export function withoutVolume(claim: PersistentVolumeClaim, phase: 'Pending' | 'Lost'): PersistentVolumeClaim {
  const { accessModes: _modes, capacity: _capacity, currentVolumeAttributesClassName: _class, ...rest } = claim.status;
  const next = { ...rest, phase };
  return equal(next, claim.status) ? claim : { ...claim, status: next };
}
