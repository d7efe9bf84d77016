/** Whether a volume answers a claim, and which of many does it best. Follows upstream's `FindMatchingVolume`. */
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/kinds.ts';
import { parseQuantity, type Quantity } from '../../machinery/quantity.ts';
import { selectorOf } from '../../machinery/selector.ts';
import { betaStorageClass } from './names.ts';

export function claimKey({ metadata }: PersistentVolumeClaim): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** `namespace/name` of the claim a volume is set aside for. */
export function claimRefKey({ spec: { claimRef } }: PersistentVolume): string | undefined {
  return claimRef === undefined ? undefined : `${claimRef.namespace ?? ''}/${claimRef.name ?? ''}`;
}

/** Set aside for the claim, by the user (who cannot know its UID) or the controller. */
export function isFor(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const { uid = '' } = volume.spec.claimRef ?? {};
  return claimRefKey(volume) === claimKey(claim) && (uid === '' || uid === claim.metadata.uid);
}

export function classOf({ metadata, spec }: PersistentVolumeClaim | PersistentVolume): string {
  return metadata.annotations?.[betaStorageClass] ?? spec.storageClassName ?? '';
}

/** An empty name is a class too: that of volumes without one. */
export function namesClass({ metadata, spec }: PersistentVolumeClaim): boolean {
  return metadata.annotations?.[betaStorageClass] !== undefined || spec.storageClassName !== undefined;
}

export function requestOf({ spec }: PersistentVolumeClaim): Quantity {
  return parseQuantity(spec.resources?.requests?.['storage'] ?? '0');
}

export function capacityOf({ spec }: PersistentVolume): Quantity {
  return parseQuantity(spec.capacity?.['storage'] ?? '0');
}

function modeOf({ spec }: PersistentVolumeClaim | PersistentVolume): string {
  return spec.volumeMode ?? 'Filesystem';
}

export function sameMode(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return modeOf(volume) === modeOf(claim);
}

function hasAccessModes({ spec }: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (claim.spec.accessModes ?? []).every((mode) => spec.accessModes?.includes(mode) === true);
}

/** Why a volume that the claim names cannot be its; undefined when it can. Its labels do not matter then. */
export function mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (volume.metadata.deletionTimestamp !== undefined) return `the volume is marked for deletion "${volume.metadata.name}"`;
  if (capacityOf(volume).compare(requestOf(claim)) < 0) return 'requested PV is too small';
  if (classOf(volume) !== classOf(claim)) return 'storageClassName does not match';
  if ((volume.spec.volumeAttributesClassName ?? '') !== (claim.spec.volumeAttributesClassName ?? ''))
    return 'volumeAttributesClassName does not match';
  if (!sameMode(volume, claim)) return 'incompatible volumeMode';
  return hasAccessModes(volume, claim) ? undefined : 'incompatible accessMode';
}

/** Free, and all that the claim asks for. */
export function answers(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  if (volume.spec.claimRef !== undefined || volume.status.phase !== 'Available' || mismatch(volume, claim) !== undefined) return false;
  return claim.spec.selector === undefined || selectorOf(claim.spec.selector).matches(volume.metadata.labels);
}

/** Set aside for the claim, and large enough: class and labels are the user's business then. */
function isReservedFor(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (
    isFor(volume, claim) &&
    volume.metadata.deletionTimestamp === undefined &&
    capacityOf(volume).compare(requestOf(claim)) >= 0 &&
    sameMode(volume, claim) &&
    (volume.spec.volumeAttributesClassName ?? '') === (claim.spec.volumeAttributesClassName ?? '') &&
    hasAccessModes(volume, claim)
  );
}

/**
 * The volume for a claim that names none: one set aside for it, or else of the free ones the one with the fewest access modes, and of those the smallest
 * (the first by name among equals). With `onlyReserved` free ones are left to the scheduler, which knows where the pod goes.
 */
export function bestVolume(claim: PersistentVolumeClaim, volumes: readonly PersistentVolume[], onlyReserved: boolean): PersistentVolume | undefined {
  let best: PersistentVolume | undefined;
  for (const volume of volumes) {
    if (isReservedFor(volume, claim)) return volume;
    if (!onlyReserved && answers(volume, claim) && (best === undefined || isBetter(volume, best))) best = volume;
  }
  return best;
}

function isBetter(volume: PersistentVolume, best: PersistentVolume): boolean {
  const modes = (volume.spec.accessModes?.length ?? 0) - (best.spec.accessModes?.length ?? 0);
  const order = modes === 0 ? capacityOf(volume).compare(capacityOf(best)) : modes;
  return order === 0 ? volume.metadata.name < best.metadata.name : order < 0;
}
