/** Pods reach other pods as themselves and the world as their node: one nftables table for each family of addresses. */
import { splitCidrs, isV6 } from '../machinery/ip.ts';
import type { Run } from './command.ts';

const families = ['ip', 'ip6'] as const;
const multicast = { ip: '224.0.0.0/4', ip6: 'ff00::/8' } as const;

export interface OutboundOptions {
  readonly table: string;
  readonly bridge: string;
  readonly podCidrs: readonly string[];
  /** The cluster's ranges of pods, of each family. */
  readonly clusterCidr: string;
}

/** For nft; replaces what an earlier run left. */
export function outboundRules({ table, bridge, podCidrs, clusterCidr }: OutboundOptions): string {
  return podCidrs
    .map((podCidr) => {
      const family = isV6(podCidr) ? 'ip6' : 'ip';
      const cluster = splitCidrs(clusterCidr).filter((cidr) => isV6(cidr) === isV6(podCidr));
      const elsewhere = `${family} daddr != { ${[...cluster, multicast[family]].join(', ')} }`;
      return `table ${family} ${table} {}
delete table ${family} ${table}
table ${family} ${table} {
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;
    ${family} saddr ${podCidr} ${elsewhere} oifname != "${bridge}" masquerade fully-random
  }
}
`;
    })
    .join('');
}

/** What is not there is no error. */
export async function removeOutboundRules(table: string, run: Run): Promise<void> {
  for (const family of families) await run('nft', ['delete', 'table', family, table]).catch(() => undefined);
}
