/** What makes a stateful set's pods individuals: ordinal, name, host name, labels, and volume claims that outlive the pod. */
import type { PersistentVolumeClaim, Pod, StatefulSet } from '../../api/kinds.ts';
import type { V1PodTemplateSpec, V1Volume } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import type { Draft, OwnerReference } from '../../machinery/object.ts';
import { controllerReference, podFromTemplate } from '../pods.ts';
import { revisionHashLabel } from '../revisions.ts';

export const podNameLabel = 'statefulset.kubernetes.io/pod-name';
export const podIndexLabel = 'apps.kubernetes.io/pod-index';

/** The number at the end of the pod's name; undefined for a pod whose name is not of this set. */
export function ordinalOf(setName: string, podName: string): number | undefined {
  const match = /^(.*)-(0|[1-9][0-9]*)$/.exec(podName);
  return match && match[1] === setName ? Number(match[2]) : undefined;
}

export function podName(set: StatefulSet, ordinal: number): string {
  return `${set.metadata.name}-${ordinal}`;
}

export function claimName(template: string, set: StatefulSet, ordinal: number): string {
  return `${template}-${podName(set, ordinal)}`;
}

/** `revision` is the name of the controller revision the template is of. */
export function statefulPod(set: StatefulSet, template: V1PodTemplateSpec, revision: string, ordinal: number): Draft<Pod> {
  const name = podName(set, ordinal);
  const { metadata, ...draft } = podFromTemplate(template, set.metadata.namespace, '', controllerReference(set));
  const { generateName: _, ...rest } = metadata;
  const { hostname: _hostname, subdomain: _subdomain, volumes = [], ...spec } = draft.spec;
  const allVolumes = [...claimVolumes(set, ordinal), ...volumes.filter((volume) => !isClaimed(set, volume.name))];
  return {
    ...draft,
    metadata: {
      ...rest,
      name,
      labels: { ...metadata.labels, [podNameLabel]: name, [podIndexLabel]: String(ordinal), [revisionHashLabel]: revision },
    },
    spec: {
      ...spec,
      hostname: name,
      ...(set.spec.serviceName && { subdomain: set.spec.serviceName }),
      ...(allVolumes.length > 0 && { volumes: allVolumes }),
    },
  };
}

function claimVolumes(set: StatefulSet, ordinal: number): V1Volume[] {
  return (set.spec.volumeClaimTemplates ?? []).map(({ metadata: { name } }) => ({
    name,
    persistentVolumeClaim: { claimName: claimName(name, set, ordinal) },
  }));
}

function isClaimed(set: StatefulSet, volume: string): boolean {
  return (set.spec.volumeClaimTemplates ?? []).some(({ metadata }) => metadata.name === volume);
}

/** The claims a pod of the ordinal mounts. */
export function claimsFor(set: StatefulSet, ordinal: number): Draft<PersistentVolumeClaim>[] {
  return (set.spec.volumeClaimTemplates ?? []).map(({ metadata, spec }) => ({
    metadata: {
      name: claimName(metadata.name, set, ordinal),
      namespace: set.metadata.namespace,
      labels: { ...metadata.labels, ...set.spec.selector.matchLabels },
      ...(metadata.annotations && { annotations: metadata.annotations }),
    },
    spec,
  }));
}

/** The labels the ordinal demands; undefined when the pod has them. Names cannot be wrong: by them pods are found. */
export function identityCorrection(pod: Pod, ordinal: number): Record<string, string> | undefined {
  const { labels = {}, name } = pod.metadata;
  if (labels[podNameLabel] === name && labels[podIndexLabel] === String(ordinal)) return undefined;
  return { [podNameLabel]: name, [podIndexLabel]: String(ordinal) };
}

/** Who a claim's owners are to be by the retention policy; undefined when they are right. `condemned` is a pod about to be scaled away. */
export function claimOwners(
  set: StatefulSet,
  claim: { readonly metadata: { readonly ownerReferences?: OwnerReference[] } },
  pod: Pod | undefined,
  condemned: boolean,
): OwnerReference[] | undefined {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const owners = claim.metadata.ownerReferences ?? [];
  const others = owners.filter(({ uid, kind, name }) => uid !== set.metadata.uid && !(kind === 'Pod' && name === pod?.metadata.name));
  // Somebody else manages the claim: what becomes of it is theirs to say, and two controllers it cannot have.
  if (others.some(({ controller }) => controller === true)) return undefined;
  const wanted = [...others];
  const byPod = condemned && whenScaled === 'Delete';
  if (byPod && pod) wanted.push(controllerReference(pod));
  else if (whenDeleted === 'Delete') wanted.push(controllerReference(set));
  const uids = (list: readonly OwnerReference[]): string[] => list.map(({ uid }) => uid).sort();
  return equal(uids(owners), uids(wanted)) ? undefined : wanted;
}

/** The claim belongs to an earlier pod of the name and will be collected with it: a new pod must wait for that. */
export function isStaleClaim(
  claim: { readonly metadata: { readonly ownerReferences?: OwnerReference[]; readonly deletionTimestamp?: string } },
  pod: string,
  uid: string | undefined,
): boolean {
  return (claim.metadata.ownerReferences ?? []).some((owner) => owner.kind === 'Pod' && owner.name === pod && owner.uid !== uid);
}
