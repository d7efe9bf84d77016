/** The part of the table that no Service changes: hooks, lookup maps, masquerading. */
import { type MapName, masqueradeMark } from './service-rules.ts';

export const mapTypes: Readonly<Record<MapName, string>> = {
  'service-ips': 'ipv4_addr . inet_proto . inet_service : verdict',
  'node-ports': 'inet_proto . inet_service : verdict',
  'no-endpoint-ips': 'ipv4_addr . inet_proto . inet_service : verdict',
  'no-endpoint-node-ports': 'inet_proto . inet_service : verdict',
};

/** The table as it is before the first Service; replaces whatever an earlier run left under its name, in the same transaction. */
export function baseRules(table: string): string {
  const maps = Object.entries(mapTypes).map(([name, type]) => `  map ${name} { type ${type}; }`);
  return `table ip ${table} {}
delete table ip ${table}
table ip ${table} {
${maps.join('\n')}
  set cluster-ips { type ipv4_addr; }
  chain refuse {
    # A pod on this node is still inside connect() when the answer comes: an ICMP error would be lost on it, a reset is not.
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr != 127.0.0.0/8 fib daddr type local meta l4proto . th dport vmap @node-ports
  }
  chain without-endpoints {
    ip daddr . meta l4proto . th dport vmap @no-endpoint-ips
    ip daddr @cluster-ips goto refuse
    fib daddr type local meta l4proto . th dport vmap @no-endpoint-node-ports
  }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain nat-output { type nat hook output priority -100; policy accept; jump services; }
  chain nat-postrouting { type nat hook postrouting priority srcnat; policy accept;
    meta mark and ${masqueradeMark} == ${masqueradeMark} meta mark set meta mark xor ${masqueradeMark} masquerade fully-random
  }
  chain filter-input { type filter hook input priority filter; policy accept; ct state new jump without-endpoints; }
  chain filter-forward { type filter hook forward priority filter; policy accept; ct state new jump without-endpoints; }
  chain filter-output { type filter hook output priority filter; policy accept; ct state new jump without-endpoints; }
}
`;
}
