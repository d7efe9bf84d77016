/** Which claims a pod still needs, and what is to be given back of one: pure functions. */
import type { Pod, ResourceClaim } from '../../api/kinds.ts';
import type { V1PodResourceClaimStatus, V1ResourceClaimConsumerReference, V1ResourceClaimStatus } from '../../api/types.ts';

/** On a claim made for a pod: under which name the pod wants it. */
export const podClaimAnnotation = 'resource.kubernetes.io/pod-claim-name';
/** The scheduler's, on claims that have devices. */
export const claimFinalizer = 'resource.kubernetes.io/delete-protection';

export function usesClaims({ spec, status }: Pod): boolean {
  return (spec.resourceClaims ?? []).length > 0 || status.extendedResourceClaimStatus !== undefined;
}

/** The claims a pod names, and those that were made for it. */
export function claimNamesOf({ spec, status }: Pod): string[] {
  return [
    ...(spec.resourceClaims ?? []).flatMap(({ resourceClaimName }) => (resourceClaimName === undefined ? [] : [resourceClaimName])),
    ...(status.resourceClaimStatuses ?? []).flatMap(({ resourceClaimName }) => (resourceClaimName === undefined ? [] : [resourceClaimName])),
    ...(status.extendedResourceClaimStatus ? [status.extendedResourceClaimStatus.resourceClaimName] : []),
  ];
}

export interface ClaimsToMake {
  readonly make: readonly { readonly name: string; readonly template: string }[];
  /** There already. */
  readonly known: readonly V1PodResourceClaimStatus[];
  /** Some that are there are not in the pod's status. */
  readonly unwritten: boolean;
}

/** `owned` are the claims whose controller is the pod. */
export function claimsToMake({ spec, status }: Pod, owned: readonly ResourceClaim[]): ClaimsToMake {
  const make: { name: string; template: string }[] = [];
  const known: V1PodResourceClaimStatus[] = [];
  let unwritten = false;
  for (const { name, resourceClaimTemplateName: template } of spec.resourceClaims ?? []) {
    if (template === undefined) continue;
    const written = status.resourceClaimStatuses?.find((entry) => entry.name === name);
    // Written without a name: none was needed.
    if (written && (written.resourceClaimName === undefined || owned.some(({ metadata }) => metadata.name === written.resourceClaimName))) {
      known.push(written);
      continue;
    }
    const found = owned.find(({ metadata }) => metadata.annotations?.[podClaimAnnotation] === name && metadata.deletionTimestamp === undefined);
    if (found) {
      known.push({ name, resourceClaimName: found.metadata.name });
      unwritten = true;
    } else make.push({ name, template });
  }
  return { make, known, unwritten };
}

export interface Release {
  readonly status?: V1ResourceClaimStatus;
  readonly finalizers?: readonly string[];
  /** Nobody uses it. */
  readonly idle: boolean;
}

/** `users` are those of `reservedFor` that are still there. A claim that nobody uses gives its devices back. */
export function released(claim: ResourceClaim, users: readonly V1ResourceClaimConsumerReference[]): Release {
  const { status, metadata } = claim;
  const before = status.reservedFor ?? [];
  const idle = users.length === 0;
  // A claim the scheduler is about to give devices is idle and protected, too, and left alone.
  const giveBack = idle && (before.length > 0 || metadata.deletionTimestamp !== undefined);
  const { allocation, reservedFor: _, devices, ...rest } = status;
  const changed = users.length !== before.length || (giveBack && allocation !== undefined);
  const next: V1ResourceClaimStatus = {
    ...rest,
    ...(!giveBack && allocation && { allocation }),
    ...(!giveBack && devices && { devices }),
    ...(!idle && { reservedFor: [...users] }),
  };
  const unprotect = giveBack && metadata.finalizers?.includes(claimFinalizer) === true;
  return {
    idle,
    ...(changed && { status: next }),
    ...(unprotect && { finalizers: (metadata.finalizers ?? []).filter((name) => name !== claimFinalizer) }),
  };
}
