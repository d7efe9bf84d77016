/**
 * Which devices a pod's claims get on a node: a search over all requests of all claims together, backing up when a later request finds nothing. Structured
 * parameters as in https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
 */
import type { DeviceClass, Node, ResourceClaim, ResourceSlice } from '../../../api/kinds.ts';
import type {
  V1AllocationResult,
  V1DeviceAllocationConfiguration,
  V1DeviceConstraint,
  V1DeviceSubRequest,
  V1NodeSelector,
} from '../../../api/types.ts';
import { isTolerated } from '../../../machinery/tolerations.ts';
import { addConsumption, consumed, type Consumption, nothingConsumed } from './capacity.ts';
import { comparableAttribute, selectsDevice } from './device-selector.ts';
import { devicesOn, type OfferedDevice } from './devices.ts';
import { SharedCounters } from './shared-counters.ts';

export interface AllocationContext {
  readonly slices: readonly ResourceSlice[];
  readonly classOf: (name: string) => DeviceClass | undefined;
  /** Ids of devices that are somebody's alone. */
  readonly taken: ReadonlySet<string>;
  /** By id of devices that several may have: what was taken of them. */
  readonly shared?: ReadonlyMap<string, Consumption>;
  /** Tells apart the shares of one device. */
  readonly shareId?: () => string;
  /** Asked now and then whether the search has taken too long. */
  readonly isLate?: () => boolean;
}

/** The search was given up: nobody knows whether the claims could be met. */
export class AllocationTimeout extends Error {
  constructor() {
    super('timed out trying to allocate devices');
  }
}

type Wish = Omit<V1DeviceSubRequest, 'name'> & { readonly adminAccess?: boolean };

/** One request of one claim, and the ways in which it can be met, the best first. */
interface Request {
  readonly claim: ResourceClaim;
  readonly alternatives: readonly { readonly name: string; readonly wish: Wish }[];
}

interface Chosen {
  readonly claim: ResourceClaim;
  readonly request: string;
  readonly offered: OfferedDevice;
  readonly wish: Wish;
  /** Of a device that several may have. */
  readonly consumption: Consumption | undefined;
}

/** Nothing real has more; a search beyond this would only take time. */
const maxSteps = 100_000;
/** So many steps take well under a second. */
const stepsBetweenLooks = 256;

/** By claim uid, what it gets; undefined when they cannot all be met. Throws for selectors that cannot be evaluated, and when it takes too long. */
export function allocate(claims: readonly ResourceClaim[], node: Node, context: AllocationContext): Map<string, V1AllocationResult> | undefined {
  const offered = devicesOn(node, context.slices);
  const requests = claims.flatMap(requestsOf);
  const chosen: Chosen[] = [];
  const used = new Set<string>();
  const consumption = new Map(context.shared);
  const counters = new SharedCounters(context.slices, (id) => context.taken.has(id) || context.shared?.has(id) === true);
  let steps = 0;

  function meet(index: number): boolean {
    const request = requests[index];
    if (request === undefined) return true;
    return request.alternatives.some(({ name, wish }) => {
      const suitable = offered.filter((device) => suits(device, wish, context));
      if (wish.allocationMode === 'All') return suitable.length > 0 && takeAll(index, request, name, wish, suitable);
      return take(index, request, name, wish, suitable, 0, wish.count ?? 1);
    });
  }

  /** `left` more devices, from `from` on. */
  function take(index: number, request: Request, name: string, wish: Wish, suitable: readonly OfferedDevice[], from: number, left: number): boolean {
    if (left === 0) return meet(index + 1);
    for (let i = from; i < suitable.length; i++) {
      const device = suitable[i];
      if (device === undefined) continue;
      if (++steps > maxSteps || (steps % stepsBetweenLooks === 0 && context.isLate?.() === true)) throw new AllocationTimeout();
      if (!tryOne(request, name, wish, device)) continue;
      // One that several may have may be had several times by one, too.
      if (take(index, request, name, wish, suitable, device.device.allowMultipleAllocations === true ? i : i + 1, left - 1)) return true;
      takeBack();
    }
    return false;
  }

  function takeAll(index: number, request: Request, name: string, wish: Wish, suitable: readonly OfferedDevice[]): boolean {
    let count = 0;
    const complete = suitable.every((device) => tryOne(request, name, wish, device) && ++count > 0);
    if (complete && meet(index + 1)) return true;
    for (; count > 0; count--) takeBack();
    return false;
  }

  function tryOne({ claim }: Request, name: string, wish: Wish, device: OfferedDevice): boolean {
    const isAdmin = wish.adminAccess === true;
    if (!isAdmin && (context.taken.has(device.id) || used.has(device.id))) return false;
    // Here and not before: a request for all devices is for those it does not tolerate, too, and cannot be met.
    if ((device.device.taints ?? []).some((taint) => taint.effect !== 'None' && !isTolerated(taint, wish.tolerations))) return false;
    const isShared = device.device.allowMultipleAllocations === true && !isAdmin;
    const already = consumption.get(device.id);
    const share = consumed(device.device, wish.capacity?.requests, isShared ? (already ?? nothingConsumed) : nothingConsumed);
    if (share === undefined) return false;
    const next: Chosen = { claim, request: name, offered: device, wish, consumption: isShared ? share : undefined };
    if (!(claim.spec.devices?.constraints ?? []).every((constraint) => agrees(constraint, chosen, next))) return false;
    // The first share of a device takes its counters; others share those, too.
    if (!isAdmin && already === undefined && !counters.take(device)) return false;
    chosen.push(next);
    if (isShared) consumption.set(device.id, addConsumption(already ?? nothingConsumed, share));
    else if (!isAdmin) used.add(device.id);
    return true;
  }

  function takeBack(): void {
    const last = chosen.pop();
    if (last === undefined || last.wish.adminAccess === true) return;
    const { id } = last.offered;
    if (last.consumption === undefined) {
      used.delete(id);
      counters.giveBack(last.offered);
      return;
    }
    const before = chosen.filter((one) => one.offered.id === id && one.consumption).map((one) => one.consumption ?? nothingConsumed);
    const taken = context.shared?.get(id);
    if (taken === undefined && before.length === 0) {
      consumption.delete(id);
      counters.giveBack(last.offered);
    } else {
      consumption.set(id, before.reduce(addConsumption, taken ?? nothingConsumed));
    }
  }

  if (!meet(0)) return undefined;
  return new Map(
    claims.map((claim) => [
      claim.metadata.uid,
      resultOf(
        claim,
        chosen.filter((one) => one.claim === claim),
        node,
        context,
      ),
    ]),
  );
}

function requestsOf(claim: ResourceClaim): Request[] {
  return (claim.spec.devices?.requests ?? []).map(({ name, exactly, firstAvailable }) => ({
    claim,
    alternatives: exactly ? [{ name, wish: exactly }] : (firstAvailable ?? []).map((wish) => ({ name: `${name}/${wish.name}`, wish })),
  }));
}

function suits(offered: OfferedDevice, wish: Wish, { classOf }: AllocationContext): boolean {
  const deviceClass = classOf(wish.deviceClassName);
  if (deviceClass === undefined) return false;
  return selectsDevice(deviceClass.spec.selectors, offered) && selectsDevice(wish.selectors, offered);
}

/** Whether one more device keeps to what the claim wants to be equal (or all different) between devices. */
function agrees({ requests = [], matchAttribute, distinctAttribute }: V1DeviceConstraint, chosen: readonly Chosen[], next: Chosen): boolean {
  const concerns = ({ request }: Chosen): boolean =>
    requests.length === 0 || requests.some((name) => request === name || request.startsWith(`${name}/`));
  const attribute = matchAttribute ?? distinctAttribute;
  if (attribute === undefined || !concerns(next)) return true;
  const value = comparableAttribute(next.offered, attribute);
  if (value === undefined) return false;
  const others = chosen.filter((one) => one.claim === next.claim && concerns(one)).map(({ offered }) => comparableAttribute(offered, attribute));
  return matchAttribute === undefined ? !others.includes(value) : others.every((other) => other === value);
}

function resultOf(claim: ResourceClaim, chosen: readonly Chosen[], node: Node, context: AllocationContext): V1AllocationResult {
  const nodeSelector = whereUsable(chosen, node);
  const config = configOf(claim, chosen, context);
  return {
    devices: {
      results: chosen.map(({ request, offered: { driver, pool, device }, wish, consumption }) => ({
        request,
        driver,
        pool,
        device: device.name,
        ...(wish.adminAccess === true && { adminAccess: true }),
        ...(wish.tolerations && { tolerations: wish.tolerations }),
        ...(device.bindingConditions?.length && { bindingConditions: device.bindingConditions }),
        ...(device.bindingFailureConditions?.length && { bindingFailureConditions: device.bindingFailureConditions }),
        ...(consumption && { shareID: context.shareId?.() ?? '', consumedCapacity: textOf(consumption) }),
      })),
      ...(config.length > 0 && { config }),
    },
    ...(nodeSelector && { nodeSelector }),
  };
}

function textOf(consumption: Consumption): Record<string, string> {
  return Object.fromEntries([...consumption].map(([name, amount]) => [name, amount.toString()]));
}

/** Every class's configuration for the requests that used it, then the claim's own for those that were met. */
function configOf(claim: ResourceClaim, chosen: readonly Chosen[], { classOf }: AllocationContext): V1DeviceAllocationConfiguration[] {
  const byRequest = new Map(chosen.map(({ request, wish }) => [request, wish]));
  const fromClasses = [...byRequest].flatMap(([request, { deviceClassName }]) =>
    (classOf(deviceClassName)?.spec.config ?? []).map((one): V1DeviceAllocationConfiguration => ({
      source: 'FromClass',
      requests: [request],
      ...one,
    })),
  );
  const concerned = (names: readonly string[] | undefined): boolean =>
    names === undefined ||
    names.length === 0 ||
    names.some((name) => [...byRequest.keys()].some((request) => request === name || request.startsWith(`${name}/`)));
  const fromClaim = (claim.spec.devices?.config ?? [])
    .filter(({ requests }) => concerned(requests))
    .map((one): V1DeviceAllocationConfiguration => ({ source: 'FromClaim', ...one }));
  return [...fromClasses, ...fromClaim];
}

/** Devices of one node bind the claim to it; devices of several nodes to those; devices of all nodes to none. */
function whereUsable(chosen: readonly Chosen[], node: Node): V1NodeSelector | undefined {
  const places = chosen.map(({ offered: { device, slice } }) => (slice.spec.perDeviceNodeSelection === true ? device : slice.spec));
  if (places.some(({ nodeName }) => nodeName) || chosen.some(({ offered }) => offered.device.bindsToNode === true)) {
    return { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node.metadata.name] }] }] };
  }
  const terms = places.flatMap(({ nodeSelector }) => nodeSelector?.nodeSelectorTerms ?? []);
  if (terms.length === 0) return undefined;
  const matchExpressions = terms.flatMap((term) => term.matchExpressions ?? []);
  const matchFields = terms.flatMap((term) => term.matchFields ?? []);
  return { nodeSelectorTerms: [{ ...(matchExpressions.length > 0 && { matchExpressions }), ...(matchFields.length > 0 && { matchFields }) }] };
}
