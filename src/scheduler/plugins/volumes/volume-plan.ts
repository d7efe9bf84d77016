/** Which volume each unbound claim of a pod would get on a node: one that is there and free, the smallest that suits, or a new one if one can be made there. */
import type { Node, PersistentVolume, PersistentVolumeClaim } from '../../../api/kinds.ts';
import type { V1TopologySelectorTerm } from '../../../api/types.ts';
import { selectsNode } from '../../../machinery/node-selector.ts';
import { parseQuantity } from '../../../machinery/quantity.ts';
import { selectorOf } from '../../../machinery/selector.ts';
import type { Snapshot } from '../../snapshot.ts';
import { classOf, noProvisioner, selectedNode } from './pod-claims.ts';

export interface VolumePlan {
  readonly bind: readonly { readonly claim: PersistentVolumeClaim; readonly volume: PersistentVolume }[];
  readonly provision: readonly PersistentVolumeClaim[];
}

export const noVolume = "node(s) didn't find available persistent volumes to bind";
export const noSpace = 'node(s) did not have enough free storage';

/** The plan, or the reason why there is none. `taken` are volumes promised to claims (by `namespace/name`) a moment ago. */
export function planVolumes(
  claims: readonly PersistentVolumeClaim[],
  node: Node,
  snapshot: Pick<Snapshot, 'objects'>,
  taken: ReadonlyMap<string, string>,
): VolumePlan | string {
  const bind: { claim: PersistentVolumeClaim; volume: PersistentVolume }[] = [];
  const provision: PersistentVolumeClaim[] = [];
  const chosen = new Set<string>();
  // Small claims first, so that the smallest volumes go to them.
  for (const claim of [...claims].sort((a, b) => sizeOf(a) - sizeOf(b))) {
    const promised = claim.metadata.annotations?.[selectedNode];
    if (promised !== undefined) {
      if (promised !== node.metadata.name) return noVolume;
      provision.push(claim);
      continue;
    }
    const volume = smallestFor(claim, node, snapshot, (name) => chosen.has(name) || (taken.get(name) ?? keyOfClaim(claim)) !== keyOfClaim(claim));
    if (volume) {
      chosen.add(volume.metadata.name);
      bind.push({ claim, volume });
    } else {
      provision.push(claim);
    }
  }
  for (const claim of provision) {
    const problem = provisionProblem(claim, node, snapshot);
    if (problem !== undefined) return problem;
  }
  return { bind, provision };
}

export function keyOfClaim({ metadata }: PersistentVolumeClaim): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Whether a volume that is bound may be used on the node. */
export function reaches({ spec }: PersistentVolume, node: Node): boolean {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms;
  return terms === undefined || selectsNode(undefined, terms, node);
}

function sizeOf({ spec }: PersistentVolumeClaim): number {
  return parseQuantity(spec.resources?.requests?.['storage'] ?? '0').toNumber();
}

function smallestFor(
  claim: PersistentVolumeClaim,
  node: Node,
  { objects }: Pick<Snapshot, 'objects'>,
  isTaken: (name: string) => boolean,
): PersistentVolume | undefined {
  const size = sizeOf(claim);
  let best: { volume: PersistentVolume; size: number } | undefined;
  for (const volume of objects.volumes.list()) {
    const { claimRef } = volume.spec;
    if (volume.metadata.deletionTimestamp !== undefined || isTaken(volume.metadata.name)) continue;
    const capacity = parseQuantity(volume.spec.capacity?.['storage'] ?? '0').toNumber();
    if (capacity < size || (volume.spec.volumeMode ?? 'Filesystem') !== (claim.spec.volumeMode ?? 'Filesystem') || !reaches(volume, node)) continue;
    if (claimRef) {
      // Somebody set it aside for this very claim.
      const isOurs =
        claimRef.name === claim.metadata.name &&
        claimRef.namespace === claim.metadata.namespace &&
        (!claimRef.uid || claimRef.uid === claim.metadata.uid);
      if (isOurs) return volume;
      continue;
    }
    if (volume.status.phase !== undefined && volume.status.phase !== 'Available') continue;
    if (!suits(volume, claim)) continue;
    if (best === undefined || capacity < best.size) best = { volume, size: capacity };
  }
  return best?.volume;
}

function suits({ spec, metadata }: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  if ((spec.storageClassName ?? '') !== (claim.spec.storageClassName ?? '')) return false;
  if ((spec.volumeAttributesClassName ?? '') !== (claim.spec.volumeAttributesClassName ?? '')) return false;
  if (claim.spec.selector !== undefined && !selectorOf(claim.spec.selector).matches(metadata.labels)) return false;
  return (claim.spec.accessModes ?? []).every((mode) => spec.accessModes?.includes(mode) === true);
}

function provisionProblem(claim: PersistentVolumeClaim, node: Node, snapshot: Pick<Snapshot, 'objects'>): string | undefined {
  const storageClass = classOf(claim, snapshot);
  const provisioner = storageClass?.provisioner ?? '';
  if (storageClass === undefined || provisioner === '' || provisioner === noProvisioner) return noVolume;
  if (!inTopology(storageClass.allowedTopologies ?? [], node)) return noVolume;
  const { csiDrivers, storageCapacities } = snapshot.objects;
  if (csiDrivers.get(provisioner)?.spec.storageCapacity !== true) return undefined;
  const size = sizeOf(claim);
  const hasRoom = storageCapacities.list().some((one) => {
    if (one.storageClassName !== storageClass.metadata.name) return false;
    const most = one.maximumVolumeSize ?? one.capacity;
    return most !== undefined && parseQuantity(most).toNumber() >= size && selectorOf(one.nodeTopology).matches(node.metadata.labels);
  });
  return hasRoom ? undefined : noSpace;
}

function inTopology(terms: readonly V1TopologySelectorTerm[], { metadata: { labels } }: Node): boolean {
  if (terms.length === 0) return true;
  return terms.some(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions.every(({ key, values }) => labels?.[key] !== undefined && values.includes(labels[key])),
  );
}
