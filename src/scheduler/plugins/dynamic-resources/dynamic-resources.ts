/**
 * DynamicResources: a pod with resource claims goes where they are allocated, or where devices for them can be. The allocation is written to the claims'
 * status before the pod is bound.
 */
import { Pod, ResourceClaim } from '../../../api/kinds.ts';
import type { V1AllocationResult } from '../../../api/types.ts';
import { parseDuration } from '../../../machinery/duration.ts';
import { isReason } from '../../../machinery/errors.ts';
import { selectsNode } from '../../../machinery/node-selector.ts';
import { timestamp } from '../../../world/world.ts';
import type { Arguments } from '../../config/arguments.ts';
import { normalizeByHighest, type PluginDefinition, type Refusal } from '../../plugin.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { Snapshot } from '../../snapshot.ts';
import { allocate, AllocationTimeout } from './allocator.ts';
import { bindingState } from './binding-conditions.ts';
import { addConsumption, type Consumption, consumptionOf, nothingConsumed } from './capacity.ts';
import { deviceId } from './devices.ts';
import { backedResources, extendedClaim, type ExtendedClaim, staleClaim } from './extended-resources.ts';
import { isReservedFor, resourceClaimsOf } from './pod-claims.ts';

const notHere: Refusal = { reasons: ['resourceclaim not available on the node'], unresolvable: true };
const noDevices: Refusal = { reasons: ['cannot allocate all claims'], unresolvable: true };
const tookTooLong: Refusal = { reasons: [new AllocationTimeout().message], unresolvable: true };
const inUse: Refusal = { reasons: ['resourceclaim in use'], unresolvable: true };
const stale: Refusal = { reasons: ['cannot schedule extended resource claim'], unresolvable: true };
const notMadeReady: Refusal = { reasons: ['resourceclaim binding failed'], unresolvable: true };

/** As many pods may share a claim. */
const maxReservations = 256;
const cacheTimeoutMs = 30_000;
const finalizer = 'resource.kubernetes.io/delete-protection';
/** As many alternatives may a request have; the first is worth as much. */
const mostAlternatives = 8;

interface Booking {
  readonly claims: readonly ResourceClaim[];
  /** By claim uid, for those that had none. */
  readonly allocations: ReadonlyMap<string, V1AllocationResult>;
  /** For extended resources: written when the pod is bound. */
  readonly extended: ExtendedClaim | undefined;
}

export const dynamicResources: PluginDefinition = {
  name: 'DynamicResources',
  create(args, { world, client, snapshot: live, changes }) {
    /** For each node; 0 for as long as it takes. */
    const filterTimeoutMs = durationIn(args, 'filterTimeout', 10_000);
    const bindingTimeoutMs = durationIn(args, 'bindingTimeout', 600_000);
    args.done();
    const { clock } = world;
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
        const backed = backedResources(pod, snapshot);
        if (!pod.pod.spec.resourceClaims?.length && backed.size === 0) return undefined;
        const claims = resourceClaimsOf(pod, snapshot);
        if (typeof claims === 'string') return { refusal: { reasons: [claims], unresolvable: true } };
        if (claims.length === 0 && backed.size === 0) return undefined;
        if (backed.size > 0 && staleClaim(pod, snapshot)) return { refusal: stale };
        if (claims.some((claim) => failed(claim))) return { refusal: notMadeReady };
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
            const wanted = withExtended(toAllocate, extendedClaim(pod, backed, node));
            if (wanted.length === 0) return undefined;
            const found = inTime(() => allocate(wanted, node, { ...context, isLate: lateness() }));
            return found === 'timeout' ? tookTooLong : found ? undefined : noDevices;
          },
        };
      },
      postFilter(pod, snapshot, { others }) {
        const left = backedResources(pod, snapshot).size > 0 ? staleClaim(pod, snapshot) : undefined;
        if (left) {
          return {
            message: 'deletion of ResourceClaim completed',
            plan: { describe: { deletes: left.metadata.name }, carryOut: () => remove(left) },
          };
        }
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
      preScore(pod, snapshot) {
        const claims = pod.pod.spec.resourceClaims?.length ? resourceClaimsOf(pod, snapshot) : [];
        if (typeof claims === 'string') return undefined;
        const choosing = claims.filter(({ spec }) => spec.devices?.requests?.some(({ firstAvailable }) => firstAvailable?.length));
        const toAllocate = claims.filter(({ status }) => status?.allocation === undefined);
        if (!choosing.some((claim) => toAllocate.includes(claim))) return undefined;
        const context = contextOf(snapshot);
        return {
          score({ node }) {
            const found = node === undefined ? undefined : inTime(() => allocate(toAllocate, node, { ...context, isLate: lateness() }));
            return node === undefined ? 0 : liking(choosing, found === 'timeout' ? undefined : found);
          },
          normalize: (scores) => normalizeByHighest(scores),
        };
      },
      reserve(pod, nodeName, snapshot) {
        const backed = backedResources(pod, snapshot);
        if (!pod.pod.spec.resourceClaims?.length && backed.size === 0) return;
        const claims = resourceClaimsOf(pod, snapshot);
        const node = snapshot.node(nodeName)?.node;
        if (typeof claims === 'string' || node === undefined) throw new Error(typeof claims === 'string' ? claims : `node "${nodeName}" is gone`);
        const toAllocate = claims.filter(({ status }) => status?.allocation === undefined);
        const extended = extendedClaim(pod, backed, node);
        const wanted = withExtended(toAllocate, extended);
        if (claims.length === 0 && wanted.length === 0) return;
        const allocations = allocate(wanted, node, { ...contextOf(snapshot), shareId: () => world.random.uid() });
        if (allocations === undefined) throw new Error('cannot allocate all claims');
        bookings.set(pod.key, { claims, allocations, extended });
      },
      unreserve: ({ key }) => void bookings.delete(key),
      needsPreBind: ({ key }) => bookings.has(key),
      async preBind(pod, _nodeName, signal) {
        const booking = bookings.get(pod.key);
        if (booking === undefined) return;
        let own: ResourceClaim | undefined;
        try {
          own = booking.extended && (await create(booking.extended, pod, booking.allocations));
          for (const claim of booking.claims) await take(claim, pod, booking.allocations.get(claim.metadata.uid));
          await untilReady([...booking.claims, ...(own ? [own] : [])], own, pod, signal);
        } catch (error) {
          await giveUp(booking.claims, own, pod);
          throw error;
        }
      },
      postBind: ({ key }) => void bookings.delete(key),
    };

    /** From now on. */
    function lateness(): () => boolean {
      const endMs = filterTimeoutMs === 0 ? Infinity : clock.now() + filterTimeoutMs;
      return () => clock.now() >= endMs;
    }

    function contextOf({ objects }: Snapshot): Parameters<typeof allocate>[2] {
      const taken = new Set<string>();
      const shared = new Map<string, Consumption>();
      /** Shares are added up, so each is counted once, whether the cluster shows it already or not. */
      const counted = new Set<string>();
      const count = ({ devices }: V1AllocationResult): void => {
        for (const { driver, pool, device, adminAccess, shareID, consumedCapacity } of devices?.results ?? []) {
          const id = deviceId(driver, pool, device);
          if (adminAccess === true || (shareID !== undefined && counted.has(shareID))) continue;
          if (shareID === undefined) {
            taken.add(id);
            continue;
          }
          counted.add(shareID);
          shared.set(id, addConsumption(shared.get(id) ?? nothingConsumed, consumptionOf(consumedCapacity)));
        }
      };
      for (const { status } of objects.resourceClaims.list()) if (status?.allocation) count(status.allocation);
      for (const { allocations } of bookings.values()) for (const allocation of allocations.values()) count(allocation);
      return { slices: objects.resourceSlices.list(), classOf: (name) => objects.deviceClasses.get(name), taken, shared };
    }

    /** Writes allocation and reservation; the resource version makes it fail if somebody else was first. */
    async function take(claim: ResourceClaim, { pod }: PodInfo, allocation: V1AllocationResult | undefined): Promise<void> {
      if (allocation === undefined && isReservedFor(claim, pod.metadata.uid)) return;
      const { name, uid } = pod.metadata;
      const protectedClaim = allocation === undefined ? claim : await protect(claim);
      const { metadata, status } = protectedClaim;
      await resource.namespace(metadata.namespace).updateStatus({
        ...protectedClaim,
        status: {
          ...status,
          ...(allocation && { allocation: { ...allocation, allocationTimestamp: timestamp(clock.now()) } }),
          reservedFor: [...(status?.reservedFor ?? []).filter((one) => one.uid !== uid), { resource: 'pods', name, uid }],
        },
      });
    }

    /** The finalizer, which an update of the status does not take. */
    function protect(claim: ResourceClaim): Promise<ResourceClaim> | ResourceClaim {
      const { finalizers = [], namespace } = claim.metadata;
      if (finalizers.includes(finalizer)) return claim;
      return resource.namespace(namespace).update({ ...claim, metadata: { ...claim.metadata, finalizers: [...finalizers, finalizer] } });
    }

    function failed(claim: ResourceClaim): boolean {
      return claim.status?.allocation !== undefined && typeof bindingState(claim, clock.now(), bindingTimeoutMs) === 'object';
    }

    /** The booking ends when the cache shows what was written: until then the devices would look free. Then devices are made ready. */
    async function untilReady(
      claims: readonly ResourceClaim[],
      own: ResourceClaim | undefined,
      { pod }: PodInfo,
      signal: AbortSignal,
    ): Promise<void> {
      const shown = ({ metadata }: ResourceClaim): ResourceClaim | undefined => live.objects.resourceClaims.get(metadata.name, metadata.namespace);
      await changes.until(
        () =>
          claims.every((claim) => {
            const known = shown(claim);
            return known === undefined ? claim !== own : isReservedFor(known, pod.metadata.uid);
          }),
        cacheTimeoutMs,
        signal,
      );
      const areReady = (): boolean =>
        claims.every((claim) => {
          const known = shown(claim);
          const state = known === undefined ? 'ready' : bindingState(known, clock.now(), bindingTimeoutMs);
          if (typeof state === 'object') throw new Error(state.failed);
          return state === 'ready';
        });
      if (!areReady()) await changes.until(areReady, bindingTimeoutMs, signal);
    }

    async function create({ claim, mappings }: ExtendedClaim, pod: PodInfo, allocations: Booking['allocations']): Promise<ResourceClaim> {
      const { generateName, namespace, annotations, ownerReferences } = claim.metadata;
      const created = await resource.namespace(namespace).create({ metadata: { generateName, annotations, ownerReferences }, spec: claim.spec });
      try {
        await take(created, pod, allocations.get(claim.metadata.uid));
        const extendedResourceClaimStatus = { resourceClaimName: created.metadata.name, requestMappings: [...mappings] };
        const { name } = pod.pod.metadata;
        await client
          .resource(Pod)
          .namespace(pod.namespace)
          .patch(name, { status: { extendedResourceClaimStatus } }, { type: 'strategic', subresource: 'status' });
      } catch (error) {
        await remove(created);
        throw error;
      }
      return created;
    }

    /** After a failure nothing is held for the pod any more. */
    async function giveUp(claims: readonly ResourceClaim[], own: ResourceClaim | undefined, { pod }: PodInfo): Promise<void> {
      const { uid } = pod.metadata;
      const releasing = claims.map(async ({ metadata: { name, namespace } }) => {
        const claims = resource.namespace(namespace);
        const claim = await claims.get(name);
        if (!isReservedFor(claim, uid)) return;
        await claims.updateStatus({
          ...claim,
          status: { ...claim.status, reservedFor: claim.status?.reservedFor?.filter((one) => one.uid !== uid) },
        });
      });
      // What cannot be given back is given back by the controller of claims, when the pod is gone.
      await Promise.allSettled([...releasing, ...(own ? [remove(own)] : [])]);
    }

    /** A claim of ours that nobody uses. */
    async function remove({ metadata: { name, namespace } }: ResourceClaim): Promise<void> {
      const claims = resource.namespace(namespace);
      try {
        const claim = await claims.get(name);
        const finalizers = (claim.metadata.finalizers ?? []).filter((one) => one !== finalizer);
        await claims.update({ ...claim, metadata: { ...claim.metadata, finalizers } });
        await claims.delete(name);
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    }

    async function deallocate(claim: ResourceClaim): Promise<void> {
      const { allocation: _, devices: __, ...status } = claim.status ?? {};
      await resource.namespace(claim.metadata.namespace).updateStatus({ ...claim, status });
    }
  },
};

function isFull(claim: ResourceClaim, { pod }: PodInfo): boolean {
  return (
    claim.status?.allocation !== undefined && !isReservedFor(claim, pod.metadata.uid) && (claim.status.reservedFor?.length ?? 0) >= maxReservations
  );
}

function withExtended(claims: readonly ResourceClaim[], extended: ExtendedClaim | undefined): readonly ResourceClaim[] {
  return extended === undefined ? claims : [...claims, extended.claim];
}

function inTime<T>(search: () => T): T | 'timeout' {
  try {
    return search();
  } catch (error) {
    if (error instanceof AllocationTimeout) return 'timeout';
    throw error;
  }
}

/** The earlier alternatives are, the better. */
function liking(claims: readonly ResourceClaim[], allocations: ReadonlyMap<string, V1AllocationResult> | undefined): number {
  let sum = 0;
  for (const { metadata, spec, status } of claims) {
    const results = (status?.allocation ?? allocations?.get(metadata.uid))?.devices?.results ?? [];
    for (const { name, firstAvailable = [] } of spec.devices?.requests ?? []) {
      const chosen = firstAvailable.findIndex((one) => results.some(({ request }) => request === `${name}/${one.name}`));
      if (chosen >= 0) sum += mostAlternatives - chosen;
    }
  }
  return sum;
}

function durationIn(args: Arguments, name: string, usualMs: number): number {
  const text = args.text(name);
  if (text === undefined) return usualMs;
  try {
    return parseDuration(text);
  } catch {
    return args.refuse(name, 'must be a duration, such as 10s');
  }
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
