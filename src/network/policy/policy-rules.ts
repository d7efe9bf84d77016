/**
 * From NetworkPolicies, pods and namespaces to the content of one node's nftables table: a pure function. Follows
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/
 *
 * A pod that no policy selects is in no map, and its packets pass with one look-up. An isolated pod's address leads to a chain that visits the policies
 * which select it; the first that allows the packet counts and accepts it, and at the end those that isolate the pod count and drop it. Pods with the
 * same policies share a chain, and equal selectors share a set of addresses.
 */
import { createHash } from 'node:crypto';
import type { NetworkPolicy } from '../../api/kinds.ts';
import type { V1NetworkPolicyPeer, V1NetworkPolicyPort } from '../../api/types.ts';
import { contains, parseCidr, tryParseIp, widthOf } from '../../machinery/ip.ts';
import { formatName, type NameServer, type PodSelector, PodSelectors, type PolicyPod, type PolicySnapshot, policyPod } from './peers.ts';
import { addressRangeText, portRangeText, type Range, rangesOfBlock, union } from '../../machinery/ip-ranges.ts';
import type { SetContent, TableContent } from './table-content.ts';

export type Direction = 'in' | 'out';

const families = [4, 6] as const;
type Family = (typeof families)[number];
const addressType = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const;
const layer = { 4: 'ip', 6: 'ip6' } as const;

/** The maps and sets the table has from the start, see `policy-table.ts`. */
export const podMap = (direction: Direction, family: Family): string => `pods-${direction}-${family}`;
export const nameServerMap = 'name-server-clients';
export const selfSet = (family: Family): string => `selves-${family}`;

export function policyRules(snapshot: PolicySnapshot): TableContent {
  return new Builder(snapshot).build();
}

/** A part of a rule's left side. */
interface Condition {
  readonly text: string;
  /** It is about addresses of this family; about any when absent. */
  readonly family?: Family;
}

const always: Condition = { text: '' };

interface Rule {
  readonly peers: readonly V1NetworkPolicyPeer[];
  readonly ports: readonly V1NetworkPolicyPort[];
}

/** What `direction` of the policy allows; undefined when the policy says nothing about it. An empty list of peers, or of ports, is all of them. */
function rulesOf({ spec }: NetworkPolicy, direction: Direction): readonly Rule[] | undefined {
  const types = spec.policyTypes ?? ['Ingress'];
  if (direction === 'in') {
    return types.includes('Ingress') ? (spec.ingress ?? []).map(({ from = [], ports = [] }) => ({ peers: from, ports })) : undefined;
  }
  return types.includes('Egress') ? (spec.egress ?? []).map(({ to = [], ports = [] }) => ({ peers: to, ports })) : undefined;
}

class Builder {
  readonly #snapshot: PolicySnapshot;
  readonly #selectors: PodSelectors;
  readonly #pods: readonly PolicyPod[];
  readonly #counters = new Set<string>();
  readonly #sets = new Map<string, SetContent>();
  readonly #chains = new Map<string, readonly string[]>();
  readonly #maps = new Map<string, Map<string, string>>();

  constructor(snapshot: PolicySnapshot) {
    this.#snapshot = snapshot;
    this.#selectors = new PodSelectors(snapshot.namespaces);
    this.#pods = snapshot.pods.map(policyPod).filter((pod) => pod !== undefined);
  }

  build(): TableContent {
    const policies = this.#snapshot.policies
      .toSorted((a, b) => (formatName(a) < formatName(b) ? -1 : 1))
      .map((policy) => ({ policy, subject: this.#selectors.select(policy.metadata.namespace, policy.spec.podSelector ?? {}) }));
    for (const pod of this.#pods) {
      if (pod.nodeName !== this.#snapshot.nodeName) continue;
      const about = policies.filter(({ subject }) => subject.matches(pod)).map(({ policy }) => policy);
      for (const direction of ['in', 'out'] as const) this.#isolate(pod, direction, about);
    }
    return { counters: this.#counters, sets: this.#sets, chains: this.#chains, maps: this.#maps };
  }

  #isolate(pod: PolicyPod, direction: Direction, about: readonly NetworkPolicy[]): void {
    const policies = about.filter((policy) => rulesOf(policy, direction) !== undefined);
    if (policies.length === 0) return;
    const chain = `isolated-${direction}-${digest(policies.map(formatName).join(' '))}`;
    if (!this.#chains.has(chain)) {
      const allow = policies.map((policy) => `jump ${this.#policyChain(policy, direction)}`);
      this.#chains.set(chain, [...allow, `${policies.map((policy) => this.#count('denied', direction, policy)).join(' ')} drop`]);
    }
    for (const address of pod.addresses) {
      const family = familyOf(address);
      this.#element(podMap(direction, family), address, `goto ${chain}`);
      this.#element(selfSet(family), `${address} . ${address}`, '');
      if (direction === 'out') this.#allowNames(address, policies);
    }
  }

  /** The name server is reached by the policies' word for it, wherever it answers from. */
  #allowNames(address: string, policies: readonly NetworkPolicy[]): void {
    const server = this.#snapshot.nameServer;
    if (!server || familyOf(address) !== familyOf(server.address)) return;
    for (const protocol of ['TCP', 'UDP']) {
      const allowing = policies.find((policy) => rulesOf(policy, 'out')?.some((rule) => this.#allowsServer(rule, policy, server, protocol)));
      if (!allowing) continue;
      const chain = named('allow-names', formatName(allowing));
      this.#chains.set(chain, [`${this.#count('allowed', 'out', allowing)} accept`]);
      this.#element(nameServerMap, `${address} . ${protocol.toLowerCase()}`, `goto ${chain}`);
    }
  }

  #allowsServer({ peers, ports }: Rule, policy: NetworkPolicy, server: NameServer, protocol: string): boolean {
    const byPort =
      ports.length === 0 ||
      ports.some(({ protocol: wanted = 'TCP', port, endPort }) => {
        if (wanted !== protocol) return false;
        if (typeof port === 'string') return port === (protocol === 'TCP' ? 'dns-tcp' : 'dns');
        return port === undefined || (port <= server.port && server.port <= (endPort ?? port));
      });
    if (!byPort) return false;
    return peers.length === 0 || peers.some((peer) => this.#isServer(peer, policy, server));
  }

  #isServer({ ipBlock, podSelector, namespaceSelector }: V1NetworkPolicyPeer, policy: NetworkPolicy, server: NameServer): boolean {
    if (!ipBlock) return this.#selectors.select(policy.metadata.namespace, podSelector, namespaceSelector).matches(server);
    const address = tryParseIp(server.address);
    if (!address || !contains(parseCidr(ipBlock.cidr), address)) return false;
    return !(ipBlock.except ?? []).some((hole) => contains(parseCidr(hole), address));
  }

  /** The chain that accepts what the policy allows and returns for the rest. */
  #policyChain(policy: NetworkPolicy, direction: Direction): string {
    const chain = named(`allow-${direction}`, formatName(policy));
    if (this.#chains.has(chain)) return chain;
    const accept = `${this.#count('allowed', direction, policy)} accept`;
    const conditions = (rulesOf(policy, direction) ?? []).flatMap((rule) => this.#conditions(rule, policy, direction));
    this.#chains.set(
      chain,
      [...new Set(conditions)].map((condition) => `${condition} ${accept}`.trim()),
    );
    return chain;
  }

  /** One condition for each way to look up a peer and each way to look up a port. */
  #conditions({ peers, ports }: Rule, policy: NetworkPolicy, direction: Direction): string[] {
    const who = peers.length === 0 ? [always] : this.#peerConditions(peers, policy, direction === 'in' ? 'saddr' : 'daddr');
    const where = ports.length === 0 ? [always] : this.#portConditions(ports);
    return who.flatMap((peer) =>
      where.flatMap((port) => {
        // nftables refuses a rule about both families: no packet is of both.
        if (peer.family !== undefined && port.family !== undefined && peer.family !== port.family) return [];
        return [[peer.text, port.text].filter((text) => text !== '').join(' ')];
      }),
    );
  }

  #peerConditions(peers: readonly V1NetworkPolicyPeer[], policy: NetworkPolicy, end: 'saddr' | 'daddr'): Condition[] {
    const conditions: Condition[] = [];
    const blocks: Record<Family, Range[]> = { 4: [], 6: [] };
    for (const { ipBlock, podSelector, namespaceSelector } of peers) {
      if (ipBlock) {
        const { family, ranges } = rangesOfBlock(ipBlock);
        blocks[family].push(...ranges);
        continue;
      }
      const selector = this.#selectors.select(policy.metadata.namespace, podSelector, namespaceSelector);
      for (const family of families) conditions.push({ text: `${layer[family]} ${end} @${this.#podSet(selector, family)}`, family });
    }
    for (const family of families) {
      const ranges = union(blocks[family]);
      if (ranges.length > 0) conditions.push({ text: blockCondition(family, end, ranges), family });
    }
    return conditions;
  }

  #portConditions(ports: readonly V1NetworkPolicyPort[]): Condition[] {
    const conditions: Condition[] = [];
    for (const protocol of new Set(ports.map((port) => port.protocol ?? 'TCP'))) {
      const l4 = `meta l4proto ${protocol.toLowerCase()}`;
      const same = ports.filter((port) => (port.protocol ?? 'TCP') === protocol);
      if (same.some(({ port }) => port === undefined)) {
        conditions.push({ text: l4 });
        continue;
      }
      const ranges: Range[] = [];
      for (const { port, endPort } of same) {
        if (typeof port === 'number') ranges.push({ first: BigInt(port), last: BigInt(endPort ?? port) });
        else if (port !== undefined) {
          for (const family of families) {
            const set = this.#portSet(port, protocol, family);
            conditions.push({ text: `${layer[family]} daddr . meta l4proto . th dport @${set}`, family });
          }
        }
      }
      if (ranges.length > 0) conditions.push({ text: `${l4} th dport { ${union(ranges).map(portRangeText).join(', ')} }` });
    }
    return conditions;
  }

  /** The addresses of the pods a selector selects. */
  #podSet(selector: PodSelector, family: Family): string {
    const name = `pods-${digest(selector.key)}-${family}`;
    if (!this.#sets.has(name)) {
      const elements = this.#pods.filter((pod) => selector.matches(pod)).flatMap((pod) => ofFamily(pod.addresses, family));
      this.#sets.set(name, { type: addressType[family], elements: new Set(elements) });
    }
    return name;
  }

  /** Where a named port is, on whichever pod: the name may stand for another number on each. */
  #portSet(port: string, protocol: string, family: Family): string {
    const name = `port-${protocol.toLowerCase()}-${port}-${family}`;
    if (!this.#sets.has(name)) {
      const elements = this.#pods.flatMap((pod) =>
        pod.ports
          .filter((candidate) => candidate.name === port && candidate.protocol === protocol)
          .flatMap(({ number }) => ofFamily(pod.addresses, family).map((address) => `${address} . ${protocol.toLowerCase()} . ${number}`)),
      );
      this.#sets.set(name, { type: `${addressType[family]} . inet_proto . inet_service`, elements: new Set(elements) });
    }
    return name;
  }

  /** A statement that counts for the policy. */
  #count(what: 'allowed' | 'denied', direction: Direction, policy: NetworkPolicy): string {
    const name = counterName(what, direction, formatName(policy));
    this.#counters.add(name);
    return `counter name ${name}`;
  }

  #element(map: string, key: string, verdict: string): void {
    const known = this.#maps.get(map) ?? new Map<string, string>();
    known.set(key, verdict);
    this.#maps.set(map, known);
  }
}

/** The counters that the policy may have on some node. */
export function countersOf(policy: NetworkPolicy): string[] {
  return (['in', 'out'] as const).flatMap((direction) =>
    (['allowed', 'denied'] as const).map((what) => counterName(what, direction, formatName(policy))),
  );
}

/** `allowed-in/shop/web`: how many packets that began a connection the policy `web` of namespace `shop` let in. Cut where nft's names end. */
export function counterName(what: 'allowed' | 'denied', direction: Direction, policy: string): string {
  const name = `${what}-${direction}/${policy}`;
  return name.length <= longestName ? name : `${name.slice(0, longestName - 9)}-${digest(policy)}`;
}

const longestName = 120;

/** The hash keeps names apart that are cut short, the rest lets people read them. */
function named(prefix: string, name: string): string {
  return `${prefix}-${digest(name)}-${name.slice(0, 80)}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

function ofFamily(addresses: readonly string[], family: Family): string[] {
  return addresses.filter((address) => familyOf(address) === family);
}

function blockCondition(family: Family, end: 'saddr' | 'daddr', ranges: readonly Range[]): string {
  const [only] = ranges;
  const all = ranges.length === 1 && only?.first === 0n && only.last === (1n << BigInt(widthOf(family))) - 1n;
  if (all) return `meta nfproto ipv${family}`;
  return `${layer[family]} ${end} { ${ranges.map((range) => addressRangeText(family, range)).join(', ')} }`;
}
