/**
 * Which endpoints a Service's port leads to, from where: what is ready, near by when the slices say so, on this node when the Service asks for it, and
 * what ends but still serves when there is nothing else. Follows https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-policies
 */
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1Endpoint, V1ServicePort } from '../api/types.ts';

export interface Backend {
  readonly address: string;
  readonly port: number;
  /** On this node. */
  readonly local: boolean;
  /** On this node, or on one that whoever wrote the slice did not name. */
  readonly perhapsLocal: boolean;
}

export interface Backends {
  /** Wherever they are. */
  readonly cluster: readonly Backend[];
  /** For clients in the cluster. */
  readonly internal: readonly Backend[];
  /** For clients from outside. */
  readonly external: readonly Backend[];
  /** Some endpoint somewhere could serve: a client that must not reach it is left without an answer, not refused. */
  readonly any: boolean;
}

/** Where the rules are for. */
export interface Whereabouts {
  readonly nodeName: string;
  /** The node's `topology.kubernetes.io/zone`. */
  readonly zone?: string;
}

interface Candidate extends Backend {
  readonly leaving: boolean;
  readonly hints: V1Endpoint['hints'];
}

export function backendsOf(
  service: Service,
  port: V1ServicePort,
  slices: readonly EndpointSlice[],
  addressType: string,
  where: Whereabouts,
): Backends {
  const candidates = candidatesOf(port, slices, addressType, where.nodeName);
  const cluster = near(readyOrLeaving(candidates), where);
  const local = readyOrLeaving(candidates.filter((candidate) => candidate.local));
  return {
    cluster,
    internal: service.spec.internalTrafficPolicy === 'Local' ? local : cluster,
    external: service.spec.externalTrafficPolicy === 'Local' ? local : cluster,
    any: cluster.length > 0,
  };
}

/** Each address once, sorted: the rules of a Service do not depend on how its slices are cut. */
function candidatesOf(port: V1ServicePort, slices: readonly EndpointSlice[], addressType: string, nodeName: string): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== addressType) continue;
    const target = slice.ports?.find(
      (candidate) => (candidate.name ?? '') === (port.name ?? '') && (candidate.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    );
    if (target?.port === undefined) continue;
    for (const { addresses, conditions, hints, nodeName: at } of slice.endpoints ?? []) {
      const ready = conditions?.ready !== false;
      const leaving = !ready && conditions.serving === true && conditions.terminating === true;
      const [address] = addresses;
      if (address === undefined || (!ready && !leaving)) continue;
      const key = showBackend({ address, port: target.port });
      // While a pod moves between slices it may stand in two; what is ready in one of them is ready.
      if (leaving && found.get(key)?.leaving === false) continue;
      found.set(key, { address, port: target.port, local: at === nodeName, perhapsLocal: at === nodeName || at === undefined, leaving, hints });
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, candidate]) => candidate);
}

function readyOrLeaving(candidates: readonly Candidate[]): readonly Candidate[] {
  const ready = candidates.filter(({ leaving }) => !leaving);
  return ready.length > 0 ? ready : candidates;
}

/** Hints count only when every endpoint has one, and when some endpoint is meant for this place. */
function near(candidates: readonly Candidate[], { nodeName, zone }: Whereabouts): readonly Candidate[] {
  if (candidates.some(({ leaving }) => leaving)) return candidates;
  const here = hinted(candidates, (hints) => hints?.forNodes, nodeName);
  return here ?? (zone === undefined ? undefined : hinted(candidates, (hints) => hints?.forZones, zone)) ?? candidates;
}

function hinted(
  candidates: readonly Candidate[],
  pick: (hints: V1Endpoint['hints']) => readonly { readonly name: string }[] | undefined,
  name: string,
): readonly Candidate[] | undefined {
  if (!candidates.every(({ hints }) => (pick(hints) ?? []).length > 0)) return undefined;
  const meant = candidates.filter(({ hints }) => pick(hints)?.some((hint) => hint.name === name));
  return meant.length > 0 ? meant : undefined;
}

/** How many endpoints of the Service are ready on this node, as load balancers ask: without those that end. */
export function readyHere(slices: readonly EndpointSlice[], nodeName: string): number {
  const addresses = new Set<string>();
  for (const { endpoints = [], addressType } of slices) {
    for (const {
      conditions,
      nodeName: at,
      addresses: [address = ''],
    } of endpoints) {
      if (at === nodeName && conditions?.ready !== false) addresses.add(`${addressType} ${address}`);
    }
  }
  return addresses.size;
}

/** As nftables and conntrack write it: `10.244.0.5:80`, `[fd00::5]:80`. */
export function showBackend({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
