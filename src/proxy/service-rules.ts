/**
 * What one Service becomes in nftables, as data: chains with their rules, elements of the shared lookup maps, and sets that remember clients for
 * session affinity. Pure: Service and endpoint slices in, rules out. Follows https://kubernetes.io/docs/reference/networking/virtual-ips/
 *
 * A packet is looked up once, by address, protocol and port, whatever the number of Services; the verdict leads to the Service's chain, which picks
 * an endpoint at random, whose chain rewrites the destination.
 */
import { createHash } from 'node:crypto';
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1ServicePort } from '../api/types.ts';

export interface Place {
  readonly nodeName: string;
  /** Pods' addresses; traffic from elsewhere is masqueraded so that answers find their way back. */
  readonly clusterCidr: string;
}

/** Names of the maps in the table, see `base-rules.ts`. */
export type MapName = 'service-ips' | 'node-ports' | 'no-endpoint-ips' | 'no-endpoint-node-ports';

export interface ServiceRules {
  /** Rules by chain name. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Elements by map, each `key : verdict`. */
  readonly elements: Readonly<Record<MapName, ReadonlyMap<string, string>>>;
  /** Definitions by set name. */
  readonly sets: ReadonlyMap<string, string>;
  /** Cluster IPs; a packet to one of them on a port no Service has is refused. */
  readonly clusterIps: readonly string[];
  /** `address:port` of UDP endpoints behind each `address:port` of the Service: flows to one that goes away are cut by hand. */
  readonly udp: ReadonlyMap<string, readonly string[]>;
}

/** The mark that asks for masquerading on the way out; upstream uses the same bit. */
export const masqueradeMark = '0x4000';

interface Backend {
  readonly address: string;
  readonly port: number;
  readonly local: boolean;
}

export function serviceRules(service: Service, slices: readonly EndpointSlice[], place: Place): ServiceRules {
  const rules = {
    chains: new Map<string, readonly string[]>(),
    elements: { 'service-ips': new Map(), 'node-ports': new Map(), 'no-endpoint-ips': new Map(), 'no-endpoint-node-ports': new Map() },
    sets: new Map<string, string>(),
    clusterIps: virtualIps(service),
    udp: new Map<string, readonly string[]>(),
  } satisfies ServiceRules;
  if (service.spec.type === 'ExternalName') return rules;
  for (const port of service.spec.ports ?? []) addPort(rules, service, port, backendsOf(port, slices, place.nodeName), place);
  return rules;
}

type Building = { -readonly [K in keyof ServiceRules]: ServiceRules[K] } & {
  readonly chains: Map<string, readonly string[]>;
  readonly elements: Readonly<Record<MapName, Map<string, string>>>;
  readonly sets: Map<string, string>;
  readonly udp: Map<string, readonly string[]>;
};

function addPort(rules: Building, service: Service, port: V1ServicePort, backends: readonly Backend[], place: Place): void {
  const { spec } = service;
  const protocol = (port.protocol ?? 'TCP').toLowerCase();
  const id = identity(service, port, protocol);
  const internal = spec.internalTrafficPolicy === 'Local' ? backends.filter((backend) => backend.local) : backends;
  const external = spec.externalTrafficPolicy === 'Local' ? backends.filter((backend) => backend.local) : backends;
  const outside = [...(spec.externalIPs ?? []), ...(service.status.loadBalancer?.ingress ?? []).map(({ ip }) => ip ?? '')].filter(isIpv4);
  const takesOutside = outside.length > 0 || (port.nodePort ?? 0) > 0;

  for (const backend of backends) addBackend(rules, service, id, protocol, backend);
  if (internal.length > 0) rules.chains.set(`service-${id}`, pick(rules, service, id, internal, clientRules(service, place)));
  for (const address of rules.clusterIps) {
    const key = `${address} . ${protocol} . ${port.port}`;
    if (internal.length > 0) rules.elements['service-ips'].set(key, `goto service-${id}`);
    else rules.elements['no-endpoint-ips'].set(key, backends.length > 0 ? 'drop' : 'goto refuse');
    if (protocol === 'udp') rules.udp.set(`${address}:${port.port}`, backends.map(show));
  }

  if (takesOutside && backends.length > 0) {
    rules.chains.set(`external-${id}`, externalRules(rules, service, id, external, place));
  }
  for (const address of outside) {
    const key = `${address} . ${protocol} . ${port.port}`;
    if (backends.length > 0) rules.elements['service-ips'].set(key, `goto external-${id}`);
    else rules.elements['no-endpoint-ips'].set(key, 'goto refuse');
  }
  if (port.nodePort !== undefined && port.nodePort > 0) {
    const key = `${protocol} . ${port.nodePort}`;
    if (backends.length > 0) rules.elements['node-ports'].set(key, `goto external-${id}`);
    else rules.elements['no-endpoint-node-ports'].set(key, 'goto refuse');
  }
}

/** A client that is no pod reaches pods with the node's address, so that the answer comes back through here. */
function clientRules(service: Service, place: Place): readonly string[] {
  return service.spec.clusterIP === undefined ? [] : [`ip saddr != ${place.clusterCidr} meta mark set meta mark or ${masqueradeMark}`];
}

function externalRules(rules: Building, service: Service, id: string, external: readonly Backend[], place: Place): readonly string[] {
  if (service.spec.externalTrafficPolicy !== 'Local') {
    // The node that answers need not be the one asked: the client must see the answer come from the latter.
    return [`meta mark set meta mark or ${masqueradeMark}`, ...pick(rules, service, id, external, [])];
  }
  // Local keeps the client's address and uses this node's pods only; pods and the node itself still reach them all.
  const everywhere = rules.chains.has(`service-${id}`)
    ? [`ip saddr ${place.clusterCidr} goto service-${id}`, `fib saddr type local goto service-${id}`]
    : [];
  return external.length === 0 ? [...everywhere, 'drop'] : [...everywhere, ...pick(rules, service, id, external, [])];
}

/** Rules that send a new connection to one of the backends: where the client went before, if it must, else any. */
function pick(rules: Building, service: Service, id: string, backends: readonly Backend[], before: readonly string[]): readonly string[] {
  const seconds = affinitySeconds(service);
  const remembered: string[] = [];
  if (seconds !== undefined) {
    for (const backend of backends) {
      const set = affinitySet(id, backend);
      rules.sets.set(set, `type ipv4_addr; flags dynamic,timeout; timeout ${seconds}s;`);
      remembered.push(`ip saddr @${set} goto ${backendChain(id, backend)}`);
    }
  }
  const targets = backends.map((backend, index) => `${index} : goto ${backendChain(id, backend)}`);
  const choice =
    backends.length === 1 && backends[0]
      ? `goto ${backendChain(id, backends[0])}`
      : `numgen random mod ${backends.length} vmap { ${targets.join(', ')} }`;
  return [...before, ...remembered, choice];
}

function addBackend(rules: Building, service: Service, id: string, protocol: string, backend: Backend): void {
  const remember = affinitySeconds(service) === undefined ? [] : [`update @${affinitySet(id, backend)} { ip saddr }`];
  rules.chains.set(backendChain(id, backend), [
    // A pod that reaches itself through its Service must see another sender than itself.
    `ip saddr ${backend.address} meta mark set meta mark or ${masqueradeMark}`,
    ...remember,
    `meta l4proto ${protocol} dnat to ${show(backend)}`,
  ]);
  if (affinitySeconds(service) !== undefined) {
    rules.sets.set(affinitySet(id, backend), `type ipv4_addr; flags dynamic,timeout; timeout ${affinitySeconds(service)}s;`);
  }
}

/** Ready endpoints of the port; when there is none, those that end but still serve. Each address once. */
function backendsOf(port: V1ServicePort, slices: readonly EndpointSlice[], nodeName: string): readonly Backend[] {
  const ready = new Map<string, Backend>();
  const leaving = new Map<string, Backend>();
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    const target = slice.ports?.find(
      (candidate) => (candidate.name ?? '') === (port.name ?? '') && (candidate.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    );
    if (target?.port === undefined) continue;
    for (const { addresses, conditions, nodeName: where } of slice.endpoints ?? []) {
      const group = conditions?.ready !== false ? ready : conditions.serving === true && conditions.terminating === true ? leaving : undefined;
      const address = addresses[0];
      if (group && address !== undefined) group.set(`${address}:${target.port}`, { address, port: target.port, local: where === nodeName });
    }
  }
  const chosen = ready.size > 0 ? ready : leaving;
  return [...chosen.values()].sort((a, b) => (show(a) < show(b) ? -1 : 1));
}

function virtualIps(service: Service): string[] {
  return (service.spec.clusterIPs ?? [service.spec.clusterIP ?? '']).filter(isIpv4);
}

function isIpv4(text: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(text);
}

function affinitySeconds(service: Service): number | undefined {
  return service.spec.sessionAffinity === 'ClientIP' ? (service.spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined;
}

/** Chain names must be short and plain: a hash keeps them apart, the name lets people read them. */
function identity(service: Service, port: V1ServicePort, protocol: string): string {
  const { namespace, name } = service.metadata;
  const full = `${namespace}/${name}/${protocol}/${port.name ?? ''}/${port.port}`;
  const readable = `${namespace}/${name}`.replace(/[^a-zA-Z0-9/_.]/g, '_').slice(0, 60);
  return `${createHash('sha256').update(full).digest('hex').slice(0, 8)}-${readable}`;
}

function backendChain(id: string, backend: Backend): string {
  return `endpoint-${id}/${backend.address}/${backend.port}`;
}

function affinitySet(id: string, backend: Backend): string {
  return `clients-${id}/${backend.address}/${backend.port}`;
}

function show(backend: Backend): string {
  return `${backend.address}:${backend.port}`;
}
