/** What a claim needs next: a volume that is there, one to be made, a class, patience; or it is lost. Follows upstream's `syncClaim`. */
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '../../api/kinds.ts';
import { bestVolume, classOf, isFor, mismatch, namesClass } from './match.ts';
import { bindCompleted, boundByController, provisionerOf, selectedNode } from './names.ts';

/** What the claim can see of the cluster. */
export interface ClaimView {
  volume(name: string): PersistentVolume | undefined;
  /** Those that may be had: free, or set aside for the claim. */
  readonly candidates: readonly PersistentVolume[];
  storageClass(name: string): StorageClass | undefined;
  readonly storageClasses: readonly StorageClass[];
  /** Pods without a node that use the claim, by name. */
  readonly waitingPods: readonly string[];
}

export interface PlannedEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export type ClaimPlan =
  | { readonly do: 'bind'; readonly volume: PersistentVolume }
  | { readonly do: 'assign-class'; readonly className: string }
  | { readonly do: 'provision'; readonly provisioner: string; readonly driver: string; readonly migrated: boolean }
  | { readonly do: 'wait'; readonly event?: PlannedEvent }
  | { readonly do: 'lose'; readonly event: PlannedEvent };

export function planClaim(claim: PersistentVolumeClaim, view: ClaimView): ClaimPlan {
  if (claim.metadata.annotations?.[bindCompleted] !== undefined) return planBound(claim, view);
  const { volumeName = '' } = claim.spec;
  return volumeName === '' ? planUnbound(claim, view) : planNamed(claim, view.volume(volumeName));
}

/** It was bound: to the same volume still, or its data is lost. */
function planBound(claim: PersistentVolumeClaim, view: ClaimView): ClaimPlan {
  const { volumeName = '' } = claim.spec;
  if (volumeName === '') return lose('ClaimLost', 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!');
  const volume = view.volume(volumeName);
  if (!volume) return lose('ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
  if (volume.spec.claimRef === undefined || volume.spec.claimRef.uid === claim.metadata.uid) return { do: 'bind', volume };
  return lose('ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');
}

/** The claim asks for one volume and no other. */
function planNamed(claim: PersistentVolumeClaim, volume: PersistentVolume | undefined): ClaimPlan {
  if (!volume) return { do: 'wait' };
  const { name } = volume.metadata;
  if (volume.spec.claimRef === undefined) {
    const problem = mismatch(volume, claim);
    if (problem === undefined) return { do: 'bind', volume };
    return wait('Warning', 'VolumeMismatch', `Cannot bind to requested volume "${name}": ${problem}`);
  }
  if (isFor(volume, claim)) return { do: 'bind', volume };
  // Chosen by the controller and yet another's: what the caches show is of different times, so look again later.
  if (claim.metadata.annotations?.[boundByController] !== undefined) {
    throw new Error(`claim ${claim.metadata.namespace}/${claim.metadata.name} is bound to volume "${name}", which another claim has`);
  }
  return wait('Warning', 'FailedBinding', `volume "${name}" already bound to a different claim.`);
}

function planUnbound(claim: PersistentVolumeClaim, view: ClaimView): ClaimPlan {
  if (claim.metadata.deletionTimestamp !== undefined) return { do: 'wait' };
  const className = classOf(claim);
  const storageClass = className === '' ? undefined : view.storageClass(className);
  const waits = storageClass?.volumeBindingMode === 'WaitForFirstConsumer';
  const volume = bestVolume(claim, view.candidates, waits);
  if (volume) return { do: 'bind', volume };

  const byDefault = namesClass(claim) ? undefined : defaultClass(view.storageClasses);
  if (byDefault) return { do: 'assign-class', className: byDefault.metadata.name };
  if (waits && claim.metadata.annotations?.[selectedNode] === undefined) return waitForConsumer(view.waitingPods);
  if (className === '') return wait('Normal', 'FailedBinding', 'no persistent volumes available for this claim and no storage class is set');
  if (!storageClass) return wait('Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${className}" not found`);
  const provisioner = provisionerOf(storageClass.provisioner);
  if (!provisioner) return wait('Warning', 'ProvisioningFailed', `no volume plugin matched name: ${storageClass.provisioner}`);
  return { do: 'provision', provisioner: storageClass.provisioner, ...provisioner };
}

function waitForConsumer(pods: readonly string[]): ClaimPlan {
  if (pods.length === 0) return wait('Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
  return wait('Normal', 'WaitForPodScheduled', `waiting for ${pods.length === 1 ? 'pod' : 'pods'} ${pods.join(',')} to be scheduled`);
}

const defaultAnnotations = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class'];

/** The class of claims that name none: of several defaults the newest, and of those made at once the first by name. */
export function defaultClass(classes: readonly StorageClass[]): StorageClass | undefined {
  const isDefault = ({ metadata }: StorageClass): boolean => defaultAnnotations.some((name) => metadata.annotations?.[name] === 'true');
  return classes
    .filter(isDefault)
    .toSorted((a, b) => compare(b.metadata.creationTimestamp, a.metadata.creationTimestamp) || compare(a.metadata.name, b.metadata.name))[0];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function usesClaim({ metadata, spec }: Pod): string[] {
  return (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return [`${metadata.namespace}/${persistentVolumeClaim.claimName}`];
    return ephemeral ? [`${metadata.namespace}/${metadata.name}-${name}`] : [];
  });
}

function wait(type: PlannedEvent['type'], reason: string, message: string): ClaimPlan {
  return { do: 'wait', event: { type, reason, message } };
}

function lose(reason: string, message: string): ClaimPlan {
  return { do: 'lose', event: { type: 'Warning', reason, message } };
}
