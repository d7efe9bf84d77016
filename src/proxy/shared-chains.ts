/**
 * Chains that Services share: one for each number of endpoints that some Service has. The chain draws an index and looks up which endpoint that is, by the
 * address and port the client asked for; so a Service is elements of maps, and nft, which reads all chains of a table at each change, finds few.
 */
import { type EndpointMap, type Family, masqueradeMark, type Protocol } from './base-rules.ts';

/** Of clients of a cluster IP, of clients from outside by an address, and of those by a node port. */
export type SharedKind = 'service' | 'external' | 'node-port';

export interface ChainPlace {
  readonly family: Family;
  /** Pods' addresses of the family. */
  readonly podCidr: string | undefined;
}

export function sharedChain(kind: SharedKind, protocol: Protocol, endpoints: number): string {
  return `${kind}-${protocol}-${endpoints}`;
}

/** The rules of a chain that {@link sharedChain} names. */
export function sharedRules(chain: string, place: ChainPlace): string[] {
  const [, kind = '', protocol = '', count = ''] = /^([a-z-]+)-([a-z]+)-(\d+)$/.exec(chain) ?? [];
  const { family } = place;
  const asked = kind === 'node-port' ? '' : `${family} daddr . `;
  const map: EndpointMap = kind === 'node-port' ? 'node-port-endpoints' : 'endpoints';
  const draw = (of: number): string => `meta l4proto ${protocol} dnat to ${asked}${protocol} dport . numgen random mod ${of} map @${map}-${protocol}`;
  return [
    ...(kind === 'service' ? podsClients(place) : [masquerade]),
    draw(Number(count)),
    // Whose packet comes here just when endpoints go may draw one that is gone; the first is there as long as any.
    ...(count === '1' ? [] : [draw(1)]),
  ];
}

/** The node that answers need not be the one asked: the client must see the answer come from the latter. */
export const masquerade = `meta mark set meta mark or ${masqueradeMark}`;

/** A client that is no pod reaches pods with the node's address, so that the answer comes back through here. */
export function podsClients({ family, podCidr }: ChainPlace): string[] {
  return podCidr === undefined ? [] : [`${family} saddr != ${podCidr} ${masquerade}`];
}
