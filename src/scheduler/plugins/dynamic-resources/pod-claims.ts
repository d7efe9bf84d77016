/** The resource claims of a pod, looked up: named ones, and those made for it from templates. */
import type { ResourceClaim } from '../../../api/kinds.ts';
import { controllerOf } from '../../../machinery/object.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { Snapshot } from '../../snapshot.ts';

/** The claims, or why they are not all there. */
export function resourceClaimsOf({ pod, namespace }: PodInfo, { objects }: Pick<Snapshot, 'objects'>): readonly ResourceClaim[] | string {
  const claims: ResourceClaim[] = [];
  for (const { name, resourceClaimName, resourceClaimTemplateName } of pod.spec.resourceClaims ?? []) {
    const status = pod.status.resourceClaimStatuses?.find((one) => one.name === name);
    const isOwn = resourceClaimTemplateName !== undefined;
    if (isOwn && status === undefined) return `pod "${namespace}/${pod.metadata.name}": ResourceClaim not created yet`;
    const claimName = resourceClaimName ?? status?.resourceClaimName;
    // The template asked for no claim.
    if (claimName === undefined) continue;
    const claim = objects.resourceClaims.get(claimName, namespace);
    if (claim === undefined) return `resourceclaim.resource.k8s.io "${claimName}" not found`;
    if (claim.metadata.deletionTimestamp !== undefined) return `resourceclaim "${claimName}" is being deleted`;
    if (isOwn && controllerOf(claim)?.uid !== pod.metadata.uid) {
      return `ResourceClaim ${namespace}/${claimName} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`;
    }
    claims.push(claim);
  }
  return claims;
}

export function isReservedFor({ status }: ResourceClaim, uid: string): boolean {
  return status?.reservedFor?.some((one) => one.uid === uid) ?? false;
}
