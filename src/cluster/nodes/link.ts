/**
 * The link between the nodes of one host: a bridge on the host, with the host's own address on it, and a way for nodes to the world where the host has one.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Run, runCommand } from '../../network/command.ts';
import { linkName } from '../../network/pod-network.ts';
import { type ClusterConfig, ClusterError } from '../config.ts';
import { linkGateway } from './link-addresses.ts';

export interface Link {
  readonly device: string;
  readonly cidr: string;
  readonly gateway: string;
}

export function linkOf({ id, linkCidr: cidr, dataDir }: ClusterConfig): Link {
  if (cidr === undefined) throw new ClusterError(`the cluster in ${dataDir} was started by an earlier k8ts: run k8ts down and k8ts up once`);
  return { device: linkName(id), cidr, gateway: linkGateway(cidr) };
}

function linkTable(id: string): string {
  return `k8ts-${id}-link`;
}

/** Makes it so; what is there already stays. */
export async function ensureLink(config: ClusterConfig, run: Run = runCommand): Promise<Link> {
  const link = linkOf(config);
  const exists = await run('ip', ['link', 'show', link.device]).then(
    () => true,
    () => false,
  );
  if (!exists) await run('ip', ['link', 'add', link.device, 'type', 'bridge']);
  await run('ip', ['-batch', '-'], `address replace ${link.gateway}/24 dev ${link.device}\nlink set ${link.device} up`);
  forward();
  await run('nft', ['-f', '-'], linkRules(linkTable(config.id), link, config.clusterCidr));
  return link;
}

/** Nodes reach each other and the host as themselves, and the world as the host. */
function linkRules(table: string, { device, cidr }: Link, clusterCidr: string): string {
  return `table ip ${table} {}
delete table ip ${table}
table ip ${table} {
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${cidr} ip daddr != { ${cidr}, ${clusterCidr} } oifname != "${device}" masquerade fully-random
  }
}
`;
}

function forward(): void {
  const path = '/proc/sys/net/ipv4/ip_forward';
  if (readFileSync(path, 'utf8').trim() !== '1') writeFileSync(path, '1');
}

/** What is not there is no error. */
export async function removeLink(id: string, run: Run = runCommand): Promise<void> {
  await run('nft', ['delete', 'table', 'ip', linkTable(id)]).catch(() => undefined);
  await run('ip', ['link', 'delete', linkName(id)]).catch(() => undefined);
}
