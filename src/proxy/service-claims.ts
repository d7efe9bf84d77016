/**
 * Which Service an address and port lead to when several ask for it, as external IPs allow: nftables would refuse all of a change that says two things of
 * one key. A cluster IP stands before what is said from outside; among equals the first by name has it, on every node and in any order of events.
 */
import type { Service } from '../api/kinds.ts';

/** Of cluster IPs, and of addresses clients outside know. */
type Rank = 0 | 1;

interface Claim {
  readonly service: string;
  readonly rank: Rank;
}

/** As the maps of `base-rules.ts` have it. */
export function claimKey(address: string, protocol: string, port: number): string {
  return `${address} . ${protocol} . ${port}`;
}

export class ServiceClaims {
  readonly #claims = new Map<string, readonly Claim[]>();
  readonly #keys = new Map<string, ReadonlyMap<string, Rank>>();

  /** Answers the other Services that have got or lost something by it. */
  set(name: string, service: Service | undefined): Set<string> {
    const [before, now] = [this.#keys.get(name) ?? none, service ? claimsOf(service) : none];
    const others = new Set<string>();
    for (const key of before.keys()) if (!now.has(key)) this.#change(key, name, undefined, others);
    for (const [key, rank] of now) if (before.get(key) !== rank) this.#change(key, name, rank, others);
    if (now.size === 0) this.#keys.delete(name);
    else this.#keys.set(name, now);
    others.delete(name);
    return others;
  }

  isOwner(name: string, key: string): boolean {
    return this.#claims.get(key)?.[0]?.service === name;
  }

  #change(key: string, service: string, rank: Rank | undefined, others: Set<string>): void {
    const before = this.#claims.get(key) ?? [];
    const now = before.filter((claim) => claim.service !== service);
    if (rank !== undefined) {
      now.push({ service, rank });
      now.sort((a, b) => a.rank - b.rank || (a.service < b.service ? -1 : 1));
    }
    if (now.length === 0) this.#claims.delete(key);
    else this.#claims.set(key, now);
    for (const first of [before[0], now[0]]) if (first && before[0]?.service !== now[0]?.service) others.add(first.service);
  }
}

const none: ReadonlyMap<string, Rank> = new Map();

function claimsOf({ spec, status }: Service): Map<string, Rank> {
  const claims = new Map<string, Rank>();
  if (spec.type === 'ExternalName') return claims;
  const balancers = spec.type === 'LoadBalancer' ? (status.loadBalancer?.ingress ?? []) : [];
  const outside = [...(spec.externalIPs ?? []), ...balancers.map(({ ip }) => ip ?? '')];
  for (const { port, protocol = 'TCP' } of spec.ports ?? []) {
    for (const address of outside) claims.set(claimKey(address, protocol.toLowerCase(), port), 1);
    for (const address of spec.clusterIPs ?? [spec.clusterIP ?? '']) {
      if (address !== '' && address !== 'None') claims.set(claimKey(address, protocol.toLowerCase(), port), 0);
    }
  }
  return claims;
}
