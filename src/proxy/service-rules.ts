/**
 * What one Service becomes in nftables, as data: chains with their rules, elements of the shared lookup maps, and sets that remember clients for
 * session affinity. Pure: Service and endpoint slices in, rules out. Follows https://kubernetes.io/docs/reference/networking/virtual-ips/
 *
 * A packet is looked up once, by address, protocol and port, whatever the number of Services; the verdict leads to the Service's chain, whose last rule
 * picks an endpoint at random and rewrites the destination. Only a Service with session affinity has a chain for each endpoint, which notes the client.
 */
import { createHash } from 'node:crypto';
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1ServicePort } from '../api/types.ts';
import { addressRangeText, rangeOfCidr, union } from '../machinery/ip-ranges.ts';
import { tryParseCidr } from '../machinery/ip.ts';
import { type Backend, type Backends, backendsOf, showBackend, type Whereabouts } from './backends.ts';

export type Family = 'ip' | 'ip6';

export interface Place extends Whereabouts {
  /** Pods' addresses, a CIDR of each family, with a comma between them; traffic from elsewhere is masqueraded so that answers find their way back. */
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
  /** Addresses of endpoints that are, or may be, on this node, and may be their own clients. */
  readonly hairpins: readonly string[];
  /** UDP endpoints behind each `address|port` of the Service (`|port` for a node port): flows that lead elsewhere are cut by hand. */
  readonly udp: ReadonlyMap<string, readonly Backend[]>;
}

/** The mark that asks for masquerading on the way out; upstream uses the same bit. */
export const masqueradeMark = '0x4000';

const addressTypes = { ip: 'IPv4', ip6: 'IPv6' } as const;
const nftTypes = { ip: 'ipv4_addr', ip6: 'ipv6_addr' } as const;

export function serviceRules(service: Service, slices: readonly EndpointSlice[], place: Place, family: Family = 'ip'): ServiceRules {
  return new RuleBuilder(service, slices, place, family).build();
}

class RuleBuilder {
  readonly #service: Service;
  readonly #slices: readonly EndpointSlice[];
  readonly #place: Place;
  readonly #family: Family;
  readonly #rules = {
    chains: new Map<string, readonly string[]>(),
    elements: {
      'service-ips': new Map<string, string>(),
      'node-ports': new Map<string, string>(),
      'no-endpoint-ips': new Map<string, string>(),
      'no-endpoint-node-ports': new Map<string, string>(),
    },
    sets: new Map<string, string>(),
    clusterIps: new Array<string>(),
    hairpins: new Array<string>(),
    udp: new Map<string, readonly Backend[]>(),
  } satisfies ServiceRules;

  constructor(service: Service, slices: readonly EndpointSlice[], place: Place, family: Family) {
    this.#service = service;
    this.#slices = slices;
    this.#place = place;
    this.#family = family;
  }

  build(): ServiceRules {
    const { spec } = this.#service;
    if (spec.type === 'ExternalName') return this.#rules;
    this.#rules.clusterIps.push(...(spec.clusterIPs ?? [spec.clusterIP ?? '']).filter(this.#isOurs));
    const hairpins = new Set<string>();
    for (const port of spec.ports ?? []) {
      const backends = backendsOf(this.#service, port, this.#slices, addressTypes[this.#family], this.#place);
      this.#addPort(port, backends);
      for (const { address, perhapsLocal } of [...backends.internal, ...backends.external]) if (perhapsLocal) hairpins.add(address);
    }
    if (this.#isReached()) this.#rules.hairpins.push(...[...hairpins].sort());
    return this.#rules;
  }

  /** Whether an address belongs to the family of this table. */
  readonly #isOurs = (address: string): boolean => address !== '' && address !== 'None' && address.includes(':') === (this.#family === 'ip6');

  /** A headless Service has slices and no rules. */
  #isReached(): boolean {
    return Object.values(this.#rules.elements).some(({ size }) => size > 0);
  }

  #addPort(port: V1ServicePort, backends: Backends): void {
    const { spec, status } = this.#service;
    const protocol = (port.protocol ?? 'TCP').toLowerCase();
    const id = identity(this.#service, port, protocol);
    const externalIps = (spec.externalIPs ?? []).filter(this.#isOurs);
    const balancers = spec.type === 'LoadBalancer' ? (status.loadBalancer?.ingress ?? []).filter(({ ipMode }) => ipMode !== 'Proxy') : [];
    const balancerIps = balancers.map(({ ip }) => ip ?? '').filter(this.#isOurs);
    const nodePort = this.#usesNodePorts() ? (port.nodePort ?? 0) : 0;
    const takesOutside = externalIps.length > 0 || balancerIps.length > 0 || nodePort > 0;

    // Pods come here by the node port too, also where there is no cluster IP of this family.
    const needsInternal = this.#rules.clusterIps.length > 0 || takesOutside;
    if (needsInternal && backends.internal.length > 0) this.#chain(`service-${id}`, this.#pick(id, protocol, backends.internal, this.#clientRules()));
    for (const address of this.#rules.clusterIps) this.#lead(address, protocol, port.port, `service-${id}`, backends.internal, backends.any);

    if (takesOutside && backends.any) this.#chain(`external-${id}`, this.#externalRules(id, protocol, backends));
    for (const address of externalIps) this.#lead(address, protocol, port.port, `external-${id}`, backends.external, backends.any, true);
    if (balancerIps.length > 0) {
      const guard = backends.any ? this.#guard(id) : undefined;
      for (const address of balancerIps) this.#lead(address, protocol, port.port, guard ?? `external-${id}`, backends.external, backends.any, true);
    }
    if (nodePort > 0) {
      const key = `${protocol} . ${nodePort}`;
      if (backends.any) this.#rules.elements['node-ports'].set(key, `goto external-${id}`);
      else this.#rules.elements['no-endpoint-node-ports'].set(key, 'goto refuse');
      if (protocol === 'udp') this.#rules.udp.set(`|${nodePort}`, backends.external);
    }
  }

  /** A node port belongs to no family: of a Service with one family, only that one's table has it. */
  #usesNodePorts(): boolean {
    const { ipFamilies = ['IPv4'] } = this.#service.spec;
    return ipFamilies.includes(addressTypes[this.#family]);
  }

  /** Where packets to the address and port go: to the chain, or without endpoints nowhere, and who asks is told so unless another node has some. */
  #lead(address: string, protocol: string, port: number, chain: string, backends: readonly Backend[], any: boolean, decidesItself = false): void {
    const key = `${address} . ${protocol} . ${port}`;
    if (backends.length > 0 || (decidesItself && any)) this.#rules.elements['service-ips'].set(key, `goto ${chain}`);
    else this.#rules.elements['no-endpoint-ips'].set(key, any ? 'drop' : 'goto refuse');
    if (protocol === 'udp') this.#rules.udp.set(`${address}|${port}`, backends);
  }

  /** A client that is no pod reaches pods with the node's address, so that the answer comes back through here. */
  #clientRules(): readonly string[] {
    const cidr = this.#podCidr();
    return cidr === undefined ? [] : [`${this.#family} saddr != ${cidr} meta mark set meta mark or ${masqueradeMark}`];
  }

  #podCidr(): string | undefined {
    return this.#place.clusterCidr.split(',').find(this.#isOurs);
  }

  #externalRules(id: string, protocol: string, { external }: Backends): readonly string[] {
    if (this.#service.spec.externalTrafficPolicy !== 'Local') {
      // The node that answers need not be the one asked: the client must see the answer come from the latter.
      return this.#pick(id, protocol, external, [`meta mark set meta mark or ${masqueradeMark}`]);
    }
    // Local keeps the client's address and uses this node's pods only; pods and the node itself still reach them all.
    const cidr = this.#podCidr();
    const everywhere = this.#rules.chains.has(`service-${id}`)
      ? [...(cidr === undefined ? [] : [`${this.#family} saddr ${cidr} goto service-${id}`]), `fib saddr type local goto service-${id}`]
      : [];
    return external.length === 0 ? [...everywhere, 'drop'] : this.#pick(id, protocol, external, everywhere);
  }

  /** `loadBalancerSourceRanges`: a chain before the one for clients from outside, which lets nobody else through. Undefined when all may come. */
  #guard(id: string): string | undefined {
    const ranges = (this.#service.spec.loadBalancerSourceRanges ?? []).map((text) => tryParseCidr(text.trim())).filter((cidr) => cidr !== undefined);
    if (ranges.length === 0) return undefined;
    const version = this.#family === 'ip' ? 4 : 6;
    const ours = union(ranges.filter(({ address }) => address.family === version).map(rangeOfCidr)).map((range) => addressRangeText(version, range));
    if (ours.includes(version === 4 ? '0.0.0.0-255.255.255.255' : '::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')) return undefined;
    const refused = ours.length === 0 ? 'drop' : `${this.#family} saddr != { ${ours.join(', ')} } drop`;
    this.#chain(`guard-${id}`, [refused, `goto external-${id}`]);
    return `guard-${id}`;
  }

  /** Rules that send a new connection to one of the backends: where the client went before, if it must, else any. */
  #pick(id: string, protocol: string, backends: readonly Backend[], before: readonly string[]): readonly string[] {
    const seconds = affinitySeconds(this.#service);
    if (seconds === undefined) return [...before, `meta l4proto ${protocol} dnat to ${destination(backends)}`];
    for (const backend of backends) this.#rememberingChain(id, protocol, backend, seconds);
    const remembered = backends.map((backend) => `${this.#family} saddr @${affinitySet(id, backend, seconds)} goto ${backendChain(id, backend)}`);
    const targets = backends.map((backend, index) => `${index} : goto ${backendChain(id, backend)}`);
    return [...before, ...remembered, `numgen random mod ${backends.length} vmap { ${targets.join(', ')} }`];
  }

  #rememberingChain(id: string, protocol: string, backend: Backend, seconds: number): void {
    const set = affinitySet(id, backend, seconds);
    this.#rules.sets.set(set, `type ${nftTypes[this.#family]}; flags dynamic,timeout; timeout ${seconds}s;`);
    this.#chain(backendChain(id, backend), [`update @${set} { ${this.#family} saddr }`, `meta l4proto ${protocol} dnat to ${showBackend(backend)}`]);
  }

  #chain(name: string, rules: readonly string[]): void {
    this.#rules.chains.set(name, rules);
  }
}

function destination(backends: readonly Backend[]): string {
  const [only] = backends;
  if (backends.length === 1 && only) return showBackend(only);
  return `numgen random mod ${backends.length} map { ${backends.map(({ address, port }, index) => `${index} : ${address} . ${port}`).join(', ')} }`;
}

function affinitySeconds({ spec }: Service): number | undefined {
  return spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined;
}

/** Chain names must be short and plain: a hash keeps them apart, the name lets people read them. */
function identity(service: Service, port: V1ServicePort, protocol: string): string {
  const { namespace, name } = service.metadata;
  const full = `${namespace}/${name}/${protocol}/${port.name ?? ''}/${port.port}`;
  const readable = `${namespace}/${name}`.replace(/[^a-zA-Z0-9/_.]/g, '_').slice(0, 60);
  return `${createHash('sha256').update(full).digest('hex').slice(0, 8)}-${readable}`;
}

/** A colon is not for names. */
function plain({ address, port }: Backend): string {
  return `${address.replaceAll(':', '_')}/${port}`;
}

function backendChain(id: string, backend: Backend): string {
  return `endpoint-${id}/${plain(backend)}`;
}

/** A set's timeout cannot be changed in place: with another timeout it is another set, and its clients are forgotten. */
function affinitySet(id: string, backend: Backend, seconds: number): string {
  return `clients-${id}/${plain(backend)}/${seconds}s`;
}
