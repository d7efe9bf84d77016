/**
 * What a provisioner does with a claim or a volume. Follows the ways of the external provisioner and the external resizer
 * (https://kubernetes-csi.github.io/docs/external-provisioner.html) for volumes that are directories. A directory has no size of its own: what a claim
 * asks for is written down, and not enforced.
 */
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '../api/kinds.ts';
import type { Draft } from '../machinery/object.ts';
import { parseQuantity } from '../machinery/quantity.ts';
import { hostnameLabel, provisionedBy, provisionerName, selectedNode, storageProvisioner, volumeFinalizer } from './names.ts';

export interface ProvisionView {
  /** Whether the provisioner makes the volumes of a node. */
  serves(nodeName: string): boolean;
  /** All of the cluster: for claims that are to have a volume before there is a pod. */
  readonly nodes: readonly Node[];
  storageClass(name: string): StorageClass | undefined;
  volume(name: string): PersistentVolume | undefined;
}

export type ClaimPlan =
  | { readonly do: 'nothing' }
  /** The claim asks for what directories cannot be. */
  | { readonly do: 'refuse'; readonly message: string }
  | { readonly do: 'provision'; readonly nodeName: string; readonly directory: string; readonly storageClass: StorageClass }
  | { readonly do: 'grow'; readonly volume: PersistentVolume; readonly size: string };

const nothing: ClaimPlan = { do: 'nothing' };

export function planClaim(claim: PersistentVolumeClaim, view: ProvisionView): ClaimPlan {
  if (claim.metadata.deletionTimestamp !== undefined) return nothing;
  const { volumeName } = claim.spec;
  if (volumeName) return planGrowth(claim, view.volume(volumeName), view.serves);
  if (claim.metadata.annotations?.[storageProvisioner] !== provisionerName) return nothing;
  const storageClass = view.storageClass(claim.spec.storageClassName ?? '');
  if (storageClass?.provisioner !== provisionerName) return nothing;
  const nodeName = nodeFor(claim, storageClass, view.nodes);
  if (nodeName === undefined || !view.serves(nodeName)) return nothing;
  if (view.volume(volumeNameOf(claim))) return nothing;
  const message = refusal(claim);
  if (message !== undefined)
    return { do: 'refuse', message: `failed to provision volume with StorageClass "${storageClass.metadata.name}": ${message}` };
  const { namespace, name } = claim.metadata;
  return { do: 'provision', nodeName, directory: `${volumeNameOf(claim)}_${namespace}_${name}`, storageClass };
}

/** Where the scheduler wants it; before there is a pod, any node that is ready: each node works out the same one. */
function nodeFor(claim: PersistentVolumeClaim, storageClass: StorageClass, nodes: readonly Node[]): string | undefined {
  const selected = claim.metadata.annotations?.[selectedNode];
  if (selected !== undefined || storageClass.volumeBindingMode === 'WaitForFirstConsumer') return selected;
  const able = nodes
    .filter(({ spec, status }) => spec.unschedulable !== true && status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True'))
    .map(({ metadata }) => metadata.name)
    .sort();
  return able[Number.parseInt(claim.metadata.uid.slice(0, 8), 16) % able.length];
}

function refusal({ spec }: PersistentVolumeClaim): string | undefined {
  if (spec.volumeMode === 'Block') return 'a directory is no block device: volumeMode Block is not supported';
  if (spec.selector) return 'claim Selector is not supported';
  if (spec.dataSource ?? spec.dataSourceRef) return 'volumes are made empty: dataSource is not supported';
  const shared = spec.accessModes?.find((mode) => mode !== 'ReadWriteOnce' && mode !== 'ReadWriteOncePod');
  if (shared !== undefined) return `a directory is reached from its node only: access mode ${shared} is not supported`;
  return undefined;
}

export function volumeNameOf({ metadata }: PersistentVolumeClaim): string {
  return `pvc-${metadata.uid}`;
}

export function newVolume(claim: PersistentVolumeClaim, storageClass: StorageClass, path: string, nodeName: string): Draft<PersistentVolume> {
  const { namespace, name, uid, resourceVersion } = claim.metadata;
  const policy = storageClass.reclaimPolicy ?? 'Delete';
  return {
    metadata: {
      name: volumeNameOf(claim),
      annotations: { [provisionedBy]: provisionerName },
      ...(policy === 'Delete' && { finalizers: [volumeFinalizer] }),
    },
    spec: {
      capacity: { storage: claim.spec.resources?.requests?.['storage'] ?? '0' },
      accessModes: [...(claim.spec.accessModes ?? [])],
      persistentVolumeReclaimPolicy: policy,
      storageClassName: storageClass.metadata.name,
      volumeMode: 'Filesystem',
      local: { path },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion },
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key: hostnameLabel, operator: 'In', values: [nodeName] }] }] },
      },
    },
  };
}

function planGrowth(claim: PersistentVolumeClaim, volume: PersistentVolume | undefined, serves: ProvisionView['serves']): ClaimPlan {
  if (!volume || !isOurs(volume, serves) || volume.spec.claimRef?.uid !== claim.metadata.uid || claim.status.phase !== 'Bound') return nothing;
  const size = claim.spec.resources?.requests?.['storage'] ?? '0';
  const grows = parseQuantity(size).compare(parseQuantity(claim.status.capacity?.['storage'] ?? '0')) > 0;
  return grows ? { do: 'grow', volume, size } : nothing;
}

export type VolumePlan =
  | { readonly do: 'nothing' }
  /** The directory, then the volume. */
  | { readonly do: 'delete'; readonly path: string }
  /** The data stays, whatever becomes of the volume. */
  | { readonly do: 'let-go' };

export function planVolume(volume: PersistentVolume, serves: ProvisionView['serves']): VolumePlan {
  if (!isOurs(volume, serves)) return { do: 'nothing' };
  const { metadata, spec, status } = volume;
  const leaving = metadata.deletionTimestamp !== undefined;
  const holds = metadata.finalizers?.includes(volumeFinalizer) === true;
  if (spec.persistentVolumeReclaimPolicy !== 'Delete') return holds ? { do: 'let-go' } : { do: 'nothing' };
  // While the claim lives, the volume is protected by a finalizer of its own.
  const free = status.phase === 'Released' || (leaving && status.phase !== 'Bound');
  return free && (holds || !leaving) ? { do: 'delete', path: spec.local?.path ?? '' } : { do: 'nothing' };
}

/** Made by the provisioner of one of these nodes. */
function isOurs({ metadata, spec }: PersistentVolume, serves: ProvisionView['serves']): boolean {
  if (metadata.annotations?.[provisionedBy] !== provisionerName || !spec.local) return false;
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  return terms.some(({ matchExpressions }) =>
    matchExpressions?.some(({ key, values }) => key === hostnameLabel && values?.some((name) => serves(name))),
  );
}
