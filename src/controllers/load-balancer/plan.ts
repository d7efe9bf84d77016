/**
 * Which addresses a Service of type LoadBalancer gets: a pure function. From a pool each Service gets one of its own per family; without a pool all
 * share the nodes' own addresses, as long as their ports differ.
 */
import type { Node, Service } from '../../api/kinds.ts';
import { isIp, parseIp } from '../../machinery/ip.ts';
import type { AddressPool } from './pool.ts';

/** So many nodes' addresses are announced: enough to stay reachable, and a status that stays small. */
const mostNodes = 8;

const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';

export interface Holder {
  readonly service: Service;
  readonly addresses: readonly string[];
}

export interface BalancerSnapshot {
  readonly service: Service;
  /** The other Services of the type that are ours, with what they hold. */
  readonly others: readonly Holder[];
  readonly nodes: readonly Node[];
  readonly pool: AddressPool;
  /** `address:port/protocol` that a node or the API server itself answers on. */
  readonly ownPorts: ReadonlySet<string>;
}

export type BalancerPlan = { readonly addresses: readonly string[] } | { readonly addresses: undefined; readonly why: string };

/** Ours to serve: of the type, and not handed to somebody else by class. */
export function isOurs({ spec }: Service): boolean {
  return spec.type === 'LoadBalancer' && spec.loadBalancerClass === undefined;
}

export function addressesOf({ status }: Service): readonly string[] {
  return (status.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
}

export function planAddresses(snapshot: BalancerSnapshot): BalancerPlan {
  return snapshot.pool.isEmpty() ? fromNodes(snapshot) : fromPool(snapshot);
}

function familiesOf({ spec }: Service): readonly (4 | 6)[] {
  const families = (spec.ipFamilies ?? ['IPv4']).map((family) => (family === 'IPv6' ? 6 : 4));
  return families.length === 0 ? [4] : families;
}

function fromPool({ service, others, pool }: BalancerSnapshot): BalancerPlan {
  const taken = new Set(others.flatMap(({ addresses: held }) => held));
  const kept = addressesOf(service);
  const wanted = service.spec.loadBalancerIP;
  const addresses: string[] = [];
  for (const family of familiesOf(service)) {
    if (wanted !== undefined && wanted !== '' && isIp(wanted) && parseIp(wanted).family === family) {
      if (!pool.has(wanted)) return { addresses: undefined, why: `the requested address ${wanted} is not in the pool` };
      if (taken.has(wanted)) return { addresses: undefined, why: `the requested address ${wanted} belongs to another Service` };
      addresses.push(wanted);
      continue;
    }
    const stays = kept.find((address) => parseIp(address).family === family && pool.has(address) && !taken.has(address));
    const address = stays ?? pool.free(family, (candidate) => taken.has(candidate));
    if (address === undefined) return { addresses: undefined, why: `no IPv${family} address of the pool is free` };
    addresses.push(address);
  }
  return { addresses };
}

function fromNodes({ service, others, nodes, ownPorts }: BalancerSnapshot): BalancerPlan {
  const families = familiesOf(service);
  const wanted = service.spec.loadBalancerIP;
  const candidates = nodes
    .filter(({ metadata }) => metadata.labels?.[excludeLabel] === undefined && metadata.deletionTimestamp === undefined)
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .slice(0, mostNodes)
    .flatMap((node) => families.flatMap((family) => nodeAddress(node, family) ?? []))
    .filter((address) => wanted === undefined || wanted === '' || address === wanted);
  if (candidates.length === 0) return { addresses: undefined, why: 'no node has an address for it' };

  const used = new Map(
    others.flatMap((other) =>
      other.addresses.flatMap((address) => portsOf(other.service).map((port) => [`${address}:${port}`, other.service] as const)),
    ),
  );
  let why = '';
  const addresses = [...new Set(candidates)].filter((address) =>
    portsOf(service).every((port) => {
      const holder = used.get(`${address}:${port}`);
      if (holder) why ||= `port ${port} of ${address} belongs to Service ${holder.metadata.namespace}/${holder.metadata.name}`;
      else if (ownPorts.has(`${address}:${port}`)) why ||= `port ${port} of ${address} is the cluster's own`;
      else return true;
      return false;
    }),
  );
  return addresses.length === 0 ? { addresses: undefined, why } : { addresses };
}

export function portsOf({ spec }: Service): readonly string[] {
  return (spec.ports ?? []).map(({ port, protocol }) => `${port}/${protocol ?? 'TCP'}`);
}

/** The address by which the world reaches a node: the external one where it has one. */
function nodeAddress({ status }: Node, family: 4 | 6): string | undefined {
  const ofType = (type: string): string | undefined =>
    (status.addresses ?? []).find((each) => each.type === type && isIp(each.address) && parseIp(each.address).family === family)?.address;
  return ofType('ExternalIP') ?? ofType('InternalIP');
}
