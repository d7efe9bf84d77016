/**
 * The pod network of one node: waits for the node's `podCIDR`, configures CNI for it, lets the host forward, and masquerades what leaves the
 * cluster. One node needs no overlay.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { Node } from '../api/kinds.ts';
import type { Informers } from '../client/informer.ts';
import type { World } from '../world/world.ts';
import { cniConfig } from './cni-config.ts';
import { type Run, runCommand } from './command.ts';

export interface PodNetworkOptions {
  readonly world: World;
  /** Scoped to this node alone, or wider. */
  readonly informers: Informers;
  readonly nodeName: string;
  /** Names devices and the nftables table of this cluster on this host. */
  readonly id: string;
  readonly clusterCidr: string;
  readonly cniConfigDir: string;
  readonly stateDir: string;
  readonly run?: Run;
}

export interface PodNetwork {
  /** Resolves with the node's pod CIDR once pods can be given addresses. */
  readonly ready: Promise<string>;
  close(): void;
}

export function bridgeName(id: string): string {
  return `k8ts${id}`;
}

export function networkTable(id: string): string {
  return `k8ts-${id}-network`;
}

export function startPodNetwork(options: PodNetworkOptions): PodNetwork {
  const { world, informers, nodeName } = options;
  const log = world.log.child('network');
  const nodes = informers.of(Node, { fieldSelector: `metadata.name=${nodeName}` });
  let unsubscribe = (): void => {};
  const podCidr = new Promise<string>((resolve) => {
    const look = (node: Node): void => {
      if (node.metadata.name === nodeName && node.spec.podCIDR) resolve(node.spec.podCIDR);
    };
    unsubscribe = nodes.subscribe({ added: look, updated: look });
  });
  const ready = podCidr.then(async (cidr) => {
    unsubscribe();
    await configure(options, cidr);
    log.info('pod network configured', { podCidr: cidr, bridge: bridgeName(options.id) });
    return cidr;
  });
  return { ready, close: () => unsubscribe() };
}

async function configure(options: PodNetworkOptions, podCidr: string): Promise<void> {
  const { id, clusterCidr, cniConfigDir, stateDir, run = runCommand } = options;
  await mkdir(cniConfigDir, { recursive: true });
  await allowForwarding();
  await run('nft', ['-f', '-'], outboundRules(networkTable(id), bridgeName(id), podCidr, clusterCidr));
  const config = cniConfig({ networkName: `k8ts-${id}`, bridge: bridgeName(id), podCidr, mtu: await hostMtu(), ipamDir: join(stateDir, 'ipam') });
  // Renamed into place: the runtime watches the directory and must never read half a file.
  const path = join(cniConfigDir, '10-k8ts.conflist');
  await writeFile(`${path}.tmp`, `${JSON.stringify(config, undefined, 2)}\n`);
  await rename(`${path}.tmp`, path);
}

/** Pods reach other pods as themselves and the world as the node. The host's own firewall, where one drops forwarded packets, is told of pods. */
function outboundRules(table: string, bridge: string, podCidr: string, clusterCidr: string): string {
  return `table ip ${table} {}
delete table ip ${table}
table ip ${table} {
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${podCidr} ip daddr != ${clusterCidr} ip daddr != 224.0.0.0/4 oifname != "${bridge}" masquerade fully-random
  }
}
`;
}

async function allowForwarding(): Promise<void> {
  await sysctl('net/ipv4/ip_forward', '1');
  // Without it an answer from a pod on the same bridge would skip the translation back to the Service's address.
  await sysctl('net/bridge/bridge-nf-call-iptables', '1', true);
}

async function sysctl(name: string, value: string, mayMiss = false): Promise<void> {
  const path = `/proc/sys/${name}`;
  try {
    if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value);
  } catch (error) {
    if (!mayMiss) throw new Error(`cannot set ${name.replaceAll('/', '.')} to ${value}: ${String(error)}`, { cause: error });
  }
}

/** The pods' MTU is that of the device the default route leaves by; 1500 where that cannot be told. */
async function hostMtu(): Promise<number> {
  const devices = Object.keys(networkInterfaces()).filter((device) => device !== 'lo' && !device.startsWith('k8ts'));
  const sizes = await Promise.all(devices.map(async (device) => Number(await readFile(`/sys/class/net/${device}/mtu`, 'utf8').catch(() => '1500'))));
  return Math.min(1500, ...sizes);
}

/** Takes away what {@link startPodNetwork} and the CNI plugins left on the host; what is not there is no error. */
export async function removePodNetwork(id: string, run: Run = runCommand): Promise<void> {
  await run('nft', ['delete', 'table', 'ip', networkTable(id)]).catch(() => undefined);
  await run('ip', ['link', 'delete', bridgeName(id)]).catch(() => undefined);
}
