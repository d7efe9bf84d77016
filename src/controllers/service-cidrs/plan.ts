/** What is to happen to one ServiceCIDR, decided from all of them and the addresses in use. */
import type { IPAddress, ServiceCIDR } from '../../api/kinds.ts';
import { type Cidr, contains, tryParseCidr, tryParseIp } from '../../machinery/ip.ts';
import { conditionOf } from '../conditions.ts';

export const finalizer = 'networking.k8s.io/service-cidr-finalizer';

/** How long the range of a deleted object is still respected: until every API server knows that it is not to be used. */
const settleMs = 10_000;

export type Plan =
  | { readonly action: 'none' }
  /** It is new, or somebody took the finalizer away. */
  | { readonly action: 'protect' }
  | { readonly action: 'setReady' }
  /** Its deletion waits for addresses that no other range has. */
  | { readonly action: 'setTerminating' }
  | { readonly action: 'wait'; readonly ms: number }
  | { readonly action: 'letGo' };

export function planServiceCidr(object: ServiceCIDR, all: readonly ServiceCIDR[], addresses: readonly IPAddress[], nowMs: number): Plan {
  const { metadata, status } = object;
  const isProtected = metadata.finalizers?.includes(finalizer) === true;
  const ready = conditionOf(status?.conditions, 'Ready');
  if (metadata.deletionTimestamp === undefined) {
    if (!isProtected) return { action: 'protect' };
    return ready?.status === 'True' ? { action: 'none' } : { action: 'setReady' };
  }
  if (!isProtected) return { action: 'none' };
  if (!isDispensable(object, all, addresses)) return ready?.reason === 'Terminating' ? { action: 'none' } : { action: 'setTerminating' };
  const ms = Date.parse(metadata.deletionTimestamp) + settleMs - nowMs;
  return ms > 0 ? { action: 'wait', ms } : { action: 'letGo' };
}

/** Whether every address in use would still be in a range. */
function isDispensable({ metadata, spec }: ServiceCIDR, all: readonly ServiceCIDR[], addresses: readonly IPAddress[]): boolean {
  const others = all.filter((other) => other.metadata.name !== metadata.name && isServing(other)).flatMap(rangesOf);
  const orphaned = rangesOf({ spec }).filter((range) => !others.some((other) => isInside(range, other)));
  if (orphaned.length === 0) return true;
  return !addresses.some((address) => {
    const ip = isManaged(address) ? tryParseIp(address.metadata.name) : undefined;
    return ip !== undefined && orphaned.some((range) => contains(range, ip)) && !others.some((range) => contains(range, ip));
  });
}

function isServing({ metadata, status }: ServiceCIDR): boolean {
  return metadata.deletionTimestamp === undefined && conditionOf(status?.conditions, 'Ready')?.status === 'True';
}

function isManaged({ metadata }: IPAddress): boolean {
  return metadata.labels?.['ipaddress.kubernetes.io/managed-by'] === 'ipallocator.k8s.io';
}

function rangesOf({ spec }: Pick<ServiceCIDR, 'spec'>): Cidr[] {
  return (spec.cidrs ?? []).flatMap((text) => tryParseCidr(text) ?? []);
}

function isInside(inner: Cidr, outer: Cidr): boolean {
  return outer.prefixLength <= inner.prefixLength && contains(outer, inner.address);
}

/** Whether a change of this address may matter to the object. */
export function hasAddress(object: ServiceCIDR, { metadata }: IPAddress): boolean {
  const ip = tryParseIp(metadata.name);
  return ip !== undefined && rangesOf(object).some((range) => contains(range, ip));
}
