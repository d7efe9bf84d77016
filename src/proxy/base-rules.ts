/** The part of the tables that no Service changes: hooks, lookup maps, masquerading. One table for each family of addresses. */
import { noTable } from '../nftables/nftables.ts';

export type Family = 'ip' | 'ip6';

/** The mark that asks for masquerading on the way out; upstream uses the same bit. */
export const masqueradeMark = '0x4000';

const protocols = ['tcp', 'udp', 'sctp'] as const;
export type Protocol = (typeof protocols)[number];

/** Where a packet's address, protocol and port lead: to a chain. */
const verdictMaps = ['service-ips', 'node-ports', 'no-endpoint-ips', 'no-endpoint-node-ports'] as const;
/** Which endpoint it is, by address, port and index: one map for each protocol, since nft takes a rule to be about one. */
const endpointMaps = ['endpoints', 'node-port-endpoints'] as const;

export type EndpointMap = (typeof endpointMaps)[number];
export type MapName = (typeof verdictMaps)[number] | `${EndpointMap}-${Protocol}`;

export const mapNames: readonly MapName[] = [
  ...verdictMaps,
  ...protocols.flatMap((protocol) => endpointMaps.map((map) => `${map}-${protocol}` as const)),
];

const facts = {
  ip: { address: 'ipv4_addr', loopback: '127.0.0.0/8' },
  ip6: { address: 'ipv6_addr', loopback: '::1' },
} as const;

/**
 * The table as it is before the first Service; replaces whatever an earlier run left under its name, in the same transaction. Node ports answer on
 * `nodePortAddresses` (CIDRs of any family), on all of the node's own addresses when there are none.
 */
export function baseRules(family: Family, table: string, nodePortAddresses: readonly string[] = []): string {
  const { address, loopback } = facts[family];
  const ours = nodePortAddresses.filter((cidr) => cidr.includes(':') === (family === 'ip6'));
  const where = nodePortAddresses.length === 0 ? '' : `${family} daddr { ${(ours.length === 0 ? [loopback] : ours).join(', ')} } `;
  return `${noTable(family, table)}table ${family} ${table} {
  map service-ips { type ${address} . inet_proto . inet_service : verdict; }
  map node-ports { type inet_proto . inet_service : verdict; }
  map no-endpoint-ips { type ${address} . inet_proto . inet_service : verdict; }
  map no-endpoint-node-ports { type inet_proto . inet_service : verdict; }
${protocols.map((protocol) => mapsOf(family, protocol)).join('\n')}
  set cluster-ips { type ${address}; }
  set hairpins { type ${address} . ${address}; }
  chain refuse {
    # A pod on this node is still inside connect() when the answer comes: an ICMP error would be lost on it, a reset is not.
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain services {
    ${family} daddr . meta l4proto . th dport vmap @service-ips
    ${family} daddr != ${loopback} ${where}fib daddr type local meta l4proto . th dport vmap @node-ports
  }
  chain without-endpoints {
    ${family} daddr . meta l4proto . th dport vmap @no-endpoint-ips
    ${family} daddr @cluster-ips goto refuse
    ${where}fib daddr type local meta l4proto . th dport vmap @no-endpoint-node-ports
  }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain nat-output { type nat hook output priority -100; policy accept; jump services; }
  chain nat-postrouting { type nat hook postrouting priority srcnat; policy accept;
    meta mark and ${masqueradeMark} == ${masqueradeMark} meta mark set meta mark xor ${masqueradeMark} masquerade fully-random
    # A pod that reaches itself through its Service must see another sender than itself.
    ${family} saddr . ${family} daddr @hairpins masquerade fully-random
  }
  chain filter-input { type filter hook input priority filter; policy accept; ct state new jump without-endpoints; }
  chain filter-forward { type filter hook forward priority filter; policy accept; ct state new jump without-endpoints; }
  chain filter-output { type filter hook output priority filter; policy accept; ct state new jump without-endpoints; }
}
`;
}

function mapsOf(family: Family, protocol: Protocol): string {
  const endpoint = `${family} daddr . ${protocol} dport`;
  return `  map endpoints-${protocol} { typeof ${family} daddr . ${protocol} dport . numgen random mod 2 : ${endpoint}; }
  map node-port-endpoints-${protocol} { typeof ${protocol} dport . numgen random mod 2 : ${endpoint}; }`;
}
