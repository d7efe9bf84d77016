/**
 * DynamicResources: a pod with resource claims goes where they are allocated, or where devices for them can be. The allocation is written to the claims'
 * status before the pod is bound.
 */
import { ResourceClaim } from '../../../api/kinds.ts';
import type { V1AllocationResult } from '../../../api/types.ts';
import { selectsNode } from '../../../machinery/node-selector.ts';
import type { PluginDefinition, Refusal } from '../../plugin.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { Snapshot } from '../../snapshot.ts';
import { allocate } from './allocator.ts';
import { deviceId } from './devices.ts';
import { isReservedFor, resourceClaimsOf } from './pod-claims.ts';

const notHere: Refusal = { reasons: ['resourceclaim not available on the node'], unresolvable: true };
const noDevices: Refusal = { reasons: ['cannot allocate all claims'], unresolvable: true };
const inUse: Refusal = { reasons: ['resourceclaim in use'], unresolvable: true };

/** As many pods may share a claim. */
const maxReservations = 256;
const cacheTimeoutMs = 30_000;
const finalizer = 'resource.kubernetes.io/delete-protection';

interface Booking {
  readonly claims: readonly ResourceClaim[];
  /** By claim uid, for those that had none. */
  readonly allocations: ReadonlyMap<string, V1AllocationResult>;
}

export const dynamicResources: PluginDefinition = {
  name: 'DynamicResources',
  create(args, { client, snapshot: live, changes }) {
    args.whole('filterTimeout', 0, 2 ** 31);
    args.done();
    const resource = client.resource(ResourceClaim);
    /** What was promised to pods on their way, which the cluster does not show yet. */
    const bookings = new Map<string, Booking>();

    return {
      name: 'DynamicResources',
      hints: [
        { on: ['NodeAdd', 'NodeUpdateLabel', 'NodeUpdateTaint', 'ResourceSlice', 'DeviceClass', 'PodGeneratedResourceClaim', 'AssignedPodDelete'] },
        { on: ['ResourceClaim'] },
      ],
      preEnqueue(pod) {
        if (!pod.pod.spec.resourceClaims?.length) return undefined;
        const claims = resourceClaimsOf(pod, live);
        return typeof claims === 'string' ? claims : undefined;
      },
      preFilter(pod, snapshot) {
        if (!pod.pod.spec.resourceClaims?.length) return undefined;
        const claims = resourceClaimsOf(pod, snapshot);
        if (typeof claims === 'string') return { refusal: { reasons: [claims], unresolvable: true } };
        if (claims.length === 0) return undefined;
        if (claims.some((claim) => isFull(claim, pod))) return { refusal: inUse };
        const missing = missingClass(claims, snapshot);
        if (missing !== undefined) return { refusal: { reasons: [missing], unresolvable: true } };
        const allocated = claims.flatMap(({ status }) => status?.allocation ?? []);
        const toAllocate = claims.filter(({ status }) => status?.allocation === undefined);
        const context = contextOf(snapshot);
        return {
          filter({ node }) {
            if (node === undefined) return notHere;
            const isHere = allocated.every(
              ({ nodeSelector }) => nodeSelector === undefined || selectsNode(undefined, nodeSelector.nodeSelectorTerms, node),
            );
            if (!isHere) return notHere;
            return toAllocate.length === 0 || allocate(toAllocate, node, context) ? undefined : noDevices;
          },
        };
      },
      postFilter(pod, snapshot, { others }) {
        const claims = pod.pod.spec.resourceClaims?.length ? resourceClaimsOf(pod, snapshot) : [];
        if (typeof claims === 'string' || claims.length === 0) return { message: 'no new claims to deallocate' };
        // A claim nobody uses, allocated where the pod cannot go, can be allocated anew elsewhere.
        const idle =
          others === inUse ? undefined : claims.find(({ status }) => status?.allocation !== undefined && (status.reservedFor?.length ?? 0) === 0);
        if (idle === undefined) return { message: 'still not schedulable' };
        return {
          message: 'deallocation of ResourceClaim completed',
          plan: { describe: { deallocates: idle.metadata.name }, carryOut: () => deallocate(idle) },
        };
      },
      reserve(pod, nodeName, snapshot) {
        if (!pod.pod.spec.resourceClaims?.length) return;
        const claims = resourceClaimsOf(pod, snapshot);
        const node = snapshot.node(nodeName)?.node;
        if (typeof claims === 'string' || node === undefined) throw new Error(typeof claims === 'string' ? claims : `node "${nodeName}" is gone`);
        const toAllocate = claims.filter(({ status }) => status?.allocation === undefined);
        const allocations = allocate(toAllocate, node, contextOf(snapshot));
        if (allocations === undefined) throw new Error('cannot allocate all claims');
        bookings.set(pod.key, { claims, allocations });
      },
      unreserve: ({ key }) => void bookings.delete(key),
      needsPreBind: ({ key }) => bookings.has(key),
      async preBind(pod, _nodeName, signal) {
        const booking = bookings.get(pod.key);
        if (booking === undefined) return;
        for (const claim of booking.claims) await take(claim, pod, booking.allocations.get(claim.metadata.uid));
        // The booking ends when the cache shows what was written: until then the devices would look free.
        const { uid } = pod.pod.metadata;
        const isShown = ({ metadata }: ResourceClaim): boolean => {
          const shown = live.objects.resourceClaims.get(metadata.name, metadata.namespace);
          return shown === undefined || isReservedFor(shown, uid);
        };
        await changes.until(() => booking.claims.every(isShown), cacheTimeoutMs, signal);
      },
      postBind: ({ key }) => void bookings.delete(key),
    };

    function contextOf({ objects }: Snapshot): Parameters<typeof allocate>[2] {
      const taken = new Set<string>();
      const count = ({ devices }: V1AllocationResult): void => {
        for (const { driver, pool, device, adminAccess } of devices?.results ?? [])
          if (adminAccess !== true) taken.add(deviceId(driver, pool, device));
      };
      for (const { status } of objects.resourceClaims.list()) if (status?.allocation) count(status.allocation);
      for (const { allocations } of bookings.values()) for (const allocation of allocations.values()) count(allocation);
      return { slices: objects.resourceSlices.list(), classOf: (name) => objects.deviceClasses.get(name), taken };
    }

    /** Writes allocation and reservation; the resource version makes it fail if somebody else was first. */
    async function take(claim: ResourceClaim, { pod }: PodInfo, allocation: V1AllocationResult | undefined): Promise<void> {
      if (allocation === undefined && isReservedFor(claim, pod.metadata.uid)) return;
      const { name, uid } = pod.metadata;
      const { metadata, status } = claim;
      const finalizers = metadata.finalizers ?? [];
      await resource.namespace(metadata.namespace).updateStatus({
        ...claim,
        metadata: { ...metadata, ...(allocation && !finalizers.includes(finalizer) && { finalizers: [...finalizers, finalizer] }) },
        status: {
          ...status,
          ...(allocation && { allocation }),
          reservedFor: [...(status?.reservedFor ?? []).filter((one) => one.uid !== uid), { resource: 'pods', name, uid }],
        },
      });
    }

    async function deallocate(claim: ResourceClaim): Promise<void> {
      const { allocation: _, ...status } = claim.status ?? {};
      await resource.namespace(claim.metadata.namespace).updateStatus({ ...claim, status });
    }
  },
};

function isFull(claim: ResourceClaim, { pod }: PodInfo): boolean {
  return (
    claim.status?.allocation !== undefined && !isReservedFor(claim, pod.metadata.uid) && (claim.status.reservedFor?.length ?? 0) >= maxReservations
  );
}

function missingClass(claims: readonly ResourceClaim[], { objects }: Snapshot): string | undefined {
  for (const { spec, status } of claims) {
    if (status?.allocation) continue;
    for (const { name, exactly, firstAvailable } of spec.devices?.requests ?? []) {
      for (const { deviceClassName } of exactly ? [exactly] : (firstAvailable ?? [])) {
        if (objects.deviceClasses.get(deviceClassName) === undefined) return `request ${name}: device class ${deviceClassName} does not exist`;
      }
    }
  }
  return undefined;
}
