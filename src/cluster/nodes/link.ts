/**
 * The link between the nodes of one host: a bridge on the host, with the host's own address on it, and a way for nodes to the world where the host has one.
 */
import { type Run, runCommand } from '../../network/command.ts';
import { allowForwarding } from '../../network/forwarding.ts';
import { isV6, splitCidrs } from '../../machinery/ip.ts';
import { linkName } from '../../network/pod-network.ts';
import { type ClusterConfig, ClusterError } from '../config.ts';
import { linkGateway, linkGateway6 } from './link-addresses.ts';
import { tunnelDoorChain } from './tunnel-doors.ts';

export interface Link {
  readonly device: string;
  readonly cidr: string;
  readonly gateway: string;
  /** Of IPv6, in a dual-stack cluster. */
  readonly v6?: { readonly cidr: string; readonly gateway: string };
}

export function linkOf({ id, linkCidr: cidr, linkCidr6, dataDir }: ClusterConfig): Link {
  if (cidr === undefined) throw new ClusterError(`the cluster in ${dataDir} was started by an earlier k8ts: run k8ts down and k8ts up once`);
  return {
    device: linkName(id),
    cidr,
    gateway: linkGateway(cidr),
    ...(linkCidr6 !== undefined && { v6: { cidr: linkCidr6, gateway: linkGateway6(linkCidr6) } }),
  };
}

function linkTable(id: string): string {
  return `k8ts-${id}-link`;
}

/** Makes it so, for nodes of these addresses; what is there already stays. */
export async function ensureLink(config: ClusterConfig, addresses: readonly string[], run: Run = runCommand): Promise<Link> {
  const link = linkOf(config);
  const exists = await run('ip', ['link', 'show', link.device]).then(
    () => true,
    () => false,
  );
  if (!exists) await run('ip', ['link', 'add', link.device, 'type', 'bridge']);
  // Nobody else is on the link: whether another has the address need not be asked, which takes IPv6 a second.
  const address6 = link.v6 === undefined ? [] : [`address replace ${link.v6.gateway}/64 dev ${link.device} nodad`];
  const lines = [`address replace ${link.gateway}/24 dev ${link.device}`, ...address6, `link set ${link.device} up`];
  await run('ip', ['-batch', '-'], lines.join('\n'));
  await allowForwarding({ v6: link.v6 !== undefined }, run);
  await run('nft', ['-f', '-'], linkRules(linkTable(config.id), link, config.clusterCidr, tunnelDoorChain(config, addresses)));
  return link;
}

/** Nodes reach each other and the host as themselves, and the world as the host. */
function linkRules(table: string, { device, cidr, v6 }: Link, clusterCidr: string, doors: string): string {
  return [cidr, ...(v6 === undefined ? [] : [v6.cidr])]
    .map((range) => {
      const family = isV6(range) ? 'ip6' : 'ip';
      const inside = [range, ...splitCidrs(clusterCidr).filter((pods) => isV6(pods) === isV6(range))];
      return `table ${family} ${table} {}
delete table ${family} ${table}
table ${family} ${table} {
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;
    ${family} saddr ${range} ${family} daddr != { ${inside.join(', ')} } oifname != "${device}" masquerade fully-random
  }
${family === 'ip' ? doors : ''}}
`;
    })
    .join('');
}

/** What is not there is no error. */
export async function removeLink(id: string, run: Run = runCommand): Promise<void> {
  for (const family of ['ip', 'ip6']) await run('nft', ['delete', 'table', family, linkTable(id)]).catch(() => undefined);
  await run('ip', ['link', 'delete', linkName(id)]).catch(() => undefined);
}
