/**
 * What one Service becomes in nftables, as data: elements of the shared lookup maps, and for a Service that asks for more than a choice among its endpoints
 * chains of its own. Pure: Service and endpoint slices in, rules out. Follows https://kubernetes.io/docs/reference/networking/virtual-ips/
 *
 * A packet is looked up once by address, protocol and port, whatever the number of Services. The verdict leads to a chain shared by all Services with as
 * many endpoints (`shared-chains.ts`), or to the Service's own: it has some when it remembers clients (`session-affinity.ts`), keeps some out of the
 * balancer's address, or takes clients from outside to endpoints of this node only.
 */
import { createHash } from 'node:crypto';
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1ServicePort } from '../api/types.ts';
import { addressRangeText, rangeOfCidr, union } from '../machinery/ip-ranges.ts';
import { tryParseCidr } from '../machinery/ip.ts';
import { type Backend, type Backends, backendsOf, showBackend, type Whereabouts } from './backends.ts';
import type { Family, MapName, Protocol } from './base-rules.ts';
import { claimKey } from './service-claims.ts';
import { affinitySeconds, remembering } from './session-affinity.ts';
import { masquerade, podsClients, sharedChain, type SharedKind } from './shared-chains.ts';

export interface Place extends Whereabouts {
  /** Pods' addresses, a CIDR of each family, with a comma between them; traffic from elsewhere is masqueraded so that answers find their way back. */
  readonly clusterCidr: string;
}

export interface ServiceRules {
  /** Rules by chain name, of chains that are this Service's alone. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Names of the chains it shares with others. */
  readonly shared: ReadonlySet<string>;
  /** Elements by map, what is looked up with what is found. */
  readonly elements: Readonly<Partial<Record<MapName, ReadonlyMap<string, string>>>>;
  /** Definitions by set name. */
  readonly sets: ReadonlyMap<string, string>;
  /** Cluster IPs; a packet to one of them on a port no Service has is refused. */
  readonly clusterIps: readonly string[];
  /** Addresses of endpoints that are, or may be, on this node, and may be their own clients. */
  readonly hairpins: readonly string[];
  /** UDP endpoints behind each `address|port` of the Service (`|port` for a node port): flows that lead elsewhere are cut by hand. */
  readonly udp: ReadonlyMap<string, readonly Backend[]>;
}

const addressTypes = { ip: 'IPv4', ip6: 'IPv6' } as const;

/** Whether an address, protocol and port are this Service's, as `claimKey` of `service-claims.ts` writes them, when others ask for them too. */
export type Owns = (key: string) => boolean;

export function serviceRules(
  service: Service,
  slices: readonly EndpointSlice[],
  place: Place,
  family: Family = 'ip',
  owns: Owns = () => true,
): ServiceRules {
  return new RuleBuilder(service, slices, place, family, owns).build();
}

/** The CIDR of the family; undefined when pods have no address of it. */
export function podCidrOf(clusterCidr: string, family: Family): string | undefined {
  return clusterCidr.split(',').find((cidr) => isOf(family, cidr));
}

function isOf(family: Family, address: string): boolean {
  return address !== '' && address !== 'None' && address.includes(':') === (family === 'ip6');
}

/** Where packets go that are for one of a port's addresses. */
interface Target {
  readonly chain: string;
  /** What the chain finds by the address and port asked for; empty when it knows by itself. */
  readonly endpoints: readonly Backend[];
}

class RuleBuilder {
  readonly #service: Service;
  readonly #slices: readonly EndpointSlice[];
  readonly #place: Place;
  readonly #family: Family;
  readonly #owns: Owns;
  readonly #podCidr: string | undefined;
  readonly #chains = new Map<string, readonly string[]>();
  readonly #shared = new Set<string>();
  readonly #elements: Partial<Record<MapName, Map<string, string>>> = {};
  readonly #sets = new Map<string, string>();
  readonly #udp = new Map<string, readonly Backend[]>();

  constructor(service: Service, slices: readonly EndpointSlice[], place: Place, family: Family, owns: Owns) {
    this.#service = service;
    this.#slices = slices;
    this.#place = place;
    this.#family = family;
    this.#owns = owns;
    this.#podCidr = podCidrOf(place.clusterCidr, family);
  }

  build(): ServiceRules {
    const { spec } = this.#service;
    const clusterIps = spec.type === 'ExternalName' ? [] : (spec.clusterIPs ?? [spec.clusterIP ?? '']).filter(this.#isOurs);
    const hairpins = new Set<string>();
    for (const port of spec.type === 'ExternalName' ? [] : (spec.ports ?? [])) {
      const backends = backendsOf(this.#service, port, this.#slices, addressTypes[this.#family], this.#place);
      this.#addPort(port, backends, clusterIps);
      for (const { address, perhapsLocal } of [...backends.cluster, ...backends.internal, ...backends.external]) {
        if (perhapsLocal) hairpins.add(address);
      }
    }
    // A headless Service has slices and no rules.
    const isReached = Object.keys(this.#elements).length > 0;
    return {
      chains: this.#chains,
      shared: this.#shared,
      elements: this.#elements,
      sets: this.#sets,
      clusterIps,
      hairpins: isReached ? [...hairpins].sort() : [],
      udp: this.#udp,
    };
  }

  /** Whether an address belongs to the family of this table. */
  readonly #isOurs = (address: string): boolean => isOf(this.#family, address);

  #addPort(port: V1ServicePort, backends: Backends, clusterIps: readonly string[]): void {
    const { spec, status } = this.#service;
    const protocol = protocolOf(port);
    const id = identity(this.#service, port, protocol);
    const externalIps = (spec.externalIPs ?? []).filter(this.#isOurs);
    const balancers = spec.type === 'LoadBalancer' ? (status.loadBalancer?.ingress ?? []).filter(({ ipMode }) => ipMode !== 'Proxy') : [];
    const balancerIps = balancers.map(({ ip }) => ip ?? '').filter(this.#isOurs);
    const nodePort = this.#usesNodePorts() ? (port.nodePort ?? 0) : 0;

    if (clusterIps.length > 0) {
      const target = this.#internalTarget(id, protocol, backends);
      for (const address of clusterIps) this.#lead(address, protocol, port.port, target, backends.internal, backends.any);
    }
    if (externalIps.length + balancerIps.length > 0) {
      const target = this.#externalTarget('external', id, protocol, backends);
      for (const address of externalIps) this.#lead(address, protocol, port.port, target, backends.external, backends.any);
      const guarded = target && balancerIps.length > 0 ? this.#guard(id, target) : target;
      for (const address of balancerIps) this.#lead(address, protocol, port.port, guarded, backends.external, backends.any);
    }
    if (nodePort > 0) this.#leadNodePort(nodePort, protocol, this.#externalTarget('node-port', id, protocol, backends), backends);
  }

  /** A node port belongs to no family: of a Service with one family, only that one's table has it. */
  #usesNodePorts(): boolean {
    const { ipFamilies = ['IPv4'] } = this.#service.spec;
    return ipFamilies.includes(addressTypes[this.#family]);
  }

  /** Where packets to the address and port go: without a target nowhere, and who asks is told so unless another node has endpoints. */
  #lead(address: string, protocol: Protocol, port: number, target: Target | undefined, backends: readonly Backend[], any: boolean): void {
    const key = claimKey(address, protocol, port);
    if (!this.#owns(key)) return;
    if (target) this.#leadTo(target, 'service-ips', key, `endpoints-${protocol}`, `${address} . ${port}`);
    else this.#element('no-endpoint-ips', key, any ? 'drop' : 'goto refuse');
    if (protocol === 'udp') this.#udp.set(`${address}|${port}`, backends);
  }

  #leadNodePort(nodePort: number, protocol: Protocol, target: Target | undefined, { external }: Backends): void {
    const key = `${protocol} . ${nodePort}`;
    if (target) this.#leadTo(target, 'node-ports', key, `node-port-endpoints-${protocol}`, String(nodePort));
    else this.#element('no-endpoint-node-ports', key, 'goto refuse');
    if (protocol === 'udp') this.#udp.set(`|${nodePort}`, external);
  }

  #leadTo({ chain, endpoints }: Target, chains: MapName, key: string, endpointsOf: MapName, asked: string): void {
    this.#element(chains, key, `goto ${chain}`);
    for (const [index, { address, port }] of endpoints.entries()) this.#element(endpointsOf, `${asked} . ${index}`, `${address} . ${port}`);
  }

  #internalTarget(id: string, protocol: Protocol, { internal }: Backends): Target | undefined {
    if (internal.length === 0) return undefined;
    if (affinitySeconds(this.#service) === undefined) return this.#share('service', protocol, internal);
    return this.#own(`service-${id}`, [...this.#podsClients(), ...this.#pick(id, protocol, internal)]);
  }

  #externalTarget(kind: SharedKind, id: string, protocol: Protocol, { external, cluster, any }: Backends): Target | undefined {
    if (!any) return undefined;
    const isLocal = this.#service.spec.externalTrafficPolicy === 'Local';
    if (!isLocal && affinitySeconds(this.#service) === undefined) return this.#share(kind, protocol, external);
    if (!isLocal) return this.#own(`external-${id}`, [masquerade, ...this.#pick(id, protocol, external)]);
    // Local keeps the client's address and uses this node's endpoints only; pods and the node itself still reach them all.
    const everywhere = this.#own(`everywhere-${id}`, [...this.#podsClients(), ...this.#pick(id, protocol, cluster)]).chain;
    return this.#own(`external-${id}`, [
      ...(this.#podCidr === undefined ? [] : [`${this.#family} saddr ${this.#podCidr} goto ${everywhere}`]),
      `fib saddr type local goto ${everywhere}`,
      ...(external.length === 0 ? ['drop'] : this.#pick(id, protocol, external)),
    ]);
  }

  #podsClients(): readonly string[] {
    return podsClients({ family: this.#family, podCidr: this.#podCidr });
  }

  /** `loadBalancerSourceRanges`: a chain before the target, which lets nobody else through; the target itself when all may come. */
  #guard(id: string, target: Target): Target {
    const ranges = (this.#service.spec.loadBalancerSourceRanges ?? []).map((text) => tryParseCidr(text.trim())).filter((cidr) => cidr !== undefined);
    if (ranges.length === 0) return target;
    const version = this.#family === 'ip' ? 4 : 6;
    const ours = union(ranges.filter(({ address }) => address.family === version).map(rangeOfCidr)).map((range) => addressRangeText(version, range));
    if (ours.includes(version === 4 ? '0.0.0.0-255.255.255.255' : '::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')) return target;
    const refused = ours.length === 0 ? 'drop' : `${this.#family} saddr != { ${ours.join(', ')} } drop`;
    return { ...target, chain: this.#own(`guard-${id}`, [refused, `goto ${target.chain}`]).chain };
  }

  /** Rules that send a new connection to one of the backends, whatever address it was for. */
  #pick(id: string, protocol: Protocol, backends: readonly Backend[]): readonly string[] {
    const seconds = affinitySeconds(this.#service);
    if (seconds === undefined) return [`meta l4proto ${protocol} dnat to ${destination(backends)}`];
    const { rules, chains, sets } = remembering(this.#family, id, protocol, backends, seconds);
    for (const [name, lines] of chains) this.#chains.set(name, lines);
    for (const [name, definition] of sets) this.#sets.set(name, definition);
    return rules;
  }

  #share(kind: SharedKind, protocol: Protocol, endpoints: readonly Backend[]): Target {
    const chain = sharedChain(kind, protocol, endpoints.length);
    this.#shared.add(chain);
    return { chain, endpoints };
  }

  #own(chain: string, rules: readonly string[]): Target {
    this.#chains.set(chain, rules);
    return { chain, endpoints: [] };
  }

  #element(map: MapName, key: string, value: string): void {
    (this.#elements[map] ??= new Map()).set(key, value);
  }
}

function destination(backends: readonly Backend[]): string {
  const [only] = backends;
  if (backends.length === 1 && only) return showBackend(only);
  return `numgen random mod ${backends.length} map { ${backends.map(({ address, port }, index) => `${index} : ${address} . ${port}`).join(', ')} }`;
}

/** Of the interface's `TCP`, `UDP` and `SCTP`. */
function protocolOf({ protocol }: V1ServicePort): Protocol {
  return protocol === 'UDP' ? 'udp' : protocol === 'SCTP' ? 'sctp' : 'tcp';
}

/** Chain names must be short and plain: a hash keeps them apart, the name lets people read them. */
function identity(service: Service, port: V1ServicePort, protocol: Protocol): string {
  const { namespace, name } = service.metadata;
  const full = `${namespace}/${name}/${protocol}/${port.name ?? ''}/${port.port}`;
  const readable = `${namespace}/${name}`.replace(/[^a-zA-Z0-9/_.]/g, '_').slice(0, 60);
  return `${createHash('sha256').update(full).digest('hex').slice(0, 8)}-${readable}`;
}
