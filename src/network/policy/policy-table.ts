/**
 * The part of the policies' table that no policy changes: hooks and lookup maps. What a pod sends is looked at where it leaves towards other machines and
 * pods and where it reaches the node itself; what a pod gets, where it is forwarded to it. What the node itself sends to its pods (probes among it) is
 * let through, as the interface asks. An accepted packet goes on to the next chain, so that both ends of a connection have their say.
 */
import { noTable } from '../../nftables/nftables.ts';
import type { NameServer } from './peers.ts';
import { nameServerMap, podMap, selfSet } from './policy-rules.ts';

/** The table before the first policy; replaces whatever an earlier run left under its name, in the same transaction. */
export function policyTable(table: string, nameServer: NameServer | undefined): string {
  const asked = nameServer && (nameServer.address.includes(':') ? 'ip6' : 'ip');
  // Wherever the Service's rules have led the packet to: what counts is whom the pod asked.
  const toNames = asked ? `ct original ${asked} daddr ${nameServer.address} ${asked} saddr . meta l4proto vmap @${nameServerMap}` : '';
  return `${noTable('inet', table)}table inet ${table} {
  map ${podMap('in', 4)} { type ipv4_addr : verdict; }
  map ${podMap('in', 6)} { type ipv6_addr : verdict; }
  map ${podMap('out', 4)} { type ipv4_addr : verdict; }
  map ${podMap('out', 6)} { type ipv6_addr : verdict; }
  map ${nameServerMap} { type ${asked === 'ip6' ? 'ipv6_addr' : 'ipv4_addr'} . inet_proto : verdict; }
  set ${selfSet(4)} { type ipv4_addr . ipv4_addr; }
  set ${selfSet(6)} { type ipv6_addr . ipv6_addr; }
  chain known {
    # A decision is made once for each connection, and what neighbours say to find each other is not one.
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept
    # No policy keeps a pod from itself.
    ip saddr . ip daddr @${selfSet(4)} accept
    ip6 saddr . ip6 daddr @${selfSet(6)} accept
  }
  chain sent {
    jump known
    ${toNames}
    ip saddr vmap @${podMap('out', 4)}
    ip6 saddr vmap @${podMap('out', 6)}
  }
  chain received {
    jump known
    ip daddr vmap @${podMap('in', 4)}
    ip6 daddr vmap @${podMap('in', 6)}
  }
  chain sent-onwards { type filter hook forward priority filter - 2; policy accept; jump sent; }
  chain sent-to-node { type filter hook input priority filter - 2; policy accept; jump sent; }
  chain received-by-pods { type filter hook forward priority filter - 1; policy accept; jump received; }
}
`;
}
