/**
 * The pod network of one node: waits for the node's `podCIDR`, configures CNI for it, lets the host forward, masquerades what leaves the cluster, and
 * keeps a way to every other node's pods. A node alone has nobody to reach, and no tunnel.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { Node } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import type { Informers } from '../client/informer.ts';
import type { World } from '../world/world.ts';
import { cniConfig } from './cni-config.ts';
import { type Run, runCommand } from './command.ts';
import { NodeRoutes, removeNodeRoutes, tunnelName, tunnelOverhead } from './node-routes.ts';
import { annotationsOf, planPeers, type PodNetworkMode, tunnelMac } from './peers.ts';

export interface PodNetworkOptions {
  readonly world: World;
  /** Of someone who may see all Nodes. */
  readonly informers: Informers;
  /** Of someone who may annotate this Node. */
  readonly client: Client;
  readonly nodeName: string;
  readonly nodeIp: string;
  /** Names devices and the nftables table of this cluster on this host. */
  readonly id: string;
  readonly clusterCidr: string;
  readonly mode: PodNetworkMode;
  readonly vni: number;
  readonly port: number;
  readonly cniConfigDir: string;
  readonly stateDir: string;
  readonly run?: Run;
}

export interface PodNetwork {
  /** Resolves with the node's pod CIDR once pods can be given addresses. */
  readonly ready: Promise<string>;
  close(): void;
}

const retryMs = 1_000;

export function bridgeName(id: string): string {
  return `k8ts${id}`;
}

/** The host's end of the link its nodes in namespaces are on. */
export function linkName(id: string): string {
  return `k8tsl${id}`;
}

export function networkTable(id: string): string {
  return `k8ts-${id}-network`;
}

export function startPodNetwork(options: PodNetworkOptions): PodNetwork {
  const { world, informers, nodeName } = options;
  const log = world.log.child('network');
  const nodes = informers.of(Node);
  const closed = new AbortController();
  const known = Promise.withResolvers<string>();
  let changed = (): void => {};
  const look = (node: Node): void => {
    if (node.metadata.name === nodeName && node.spec.podCIDR) known.resolve(node.spec.podCIDR);
    changed();
  };
  const unsubscribe = nodes.subscribe({ added: look, updated: look, deleted: () => changed() });

  const ready = known.promise.then(async (podCidr) => {
    if (options.mode === 'none') {
      log.info('the pod network is left to others', { podCidr });
      return podCidr;
    }
    const linkMtu = await configure(options, podCidr);
    log.info('pod network configured', { podCidr, bridge: bridgeName(options.id) });
    changed = keepRoutes(options, podCidr, linkMtu, closed.signal);
    changed();
    return podCidr;
  });
  return {
    ready,
    close() {
      closed.abort();
      unsubscribe();
    },
  };
}

/** Answers what to call when a Node changed: what comes while the machine is being told goes into the next round together. */
function keepRoutes(options: PodNetworkOptions, podCidr: string, linkMtu: number, signal: AbortSignal): () => void {
  const { world, informers, client, nodeName, nodeIp, id, mode, vni, run = runCommand } = options;
  const log = world.log.child('network');
  const nodes = informers.of(Node);
  const routes = new NodeRoutes({ ...options, run, podCidr, linkMtu });
  let [dirty, busy] = [false, false];
  let shown = '';

  async function round(): Promise<void> {
    const all = nodes.list();
    // Alone, a node need not say how it can be reached.
    if (all.length > 1) await announce(all.find(({ metadata }) => metadata.name === nodeName));
    const peers = planPeers({ nodeName, links: ownLinks(id), mode }, all);
    const text = JSON.stringify(peers);
    await routes.apply(peers);
    if (text !== shown && (peers.length > 0 || shown !== ''))
      log.info('ways to other nodes', { peers: peers.map(({ kind, podCidr: range }) => `${range} ${kind}`) });
    shown = text;
  }

  async function announce(self: Node | undefined): Promise<void> {
    const link = networkInterfaces()[linkName(id)]?.find(({ family }) => family === 'IPv4')?.address;
    const addresses = [nodeIp, ...(link === undefined ? [] : [link])];
    const annotations = annotationsOf({ mac: tunnelMac(nodeName, id), vni, addresses });
    if (!self || Object.entries(annotations).every(([name, value]) => self.metadata.annotations?.[name] === value)) return;
    await client.resource(Node).patch(nodeName, { metadata: { annotations } }, { type: 'merge', signal });
  }

  async function go(): Promise<void> {
    busy = true;
    while (dirty && !signal.aborted) {
      dirty = false;
      try {
        await round();
      } catch (error) {
        if (signal.aborted) break;
        log.warn('the ways to other nodes could not all be laid; trying again', { error: error instanceof Error ? error.message : String(error) });
        dirty = true;
        await world.clock.sleep(retryMs, signal).catch(() => undefined);
      }
    }
    busy = false;
  }

  return () => {
    dirty = true;
    if (!busy) void go();
  };
}

/** Ranges of the devices that lead to other machines: not those behind which this node's own pods are. */
function ownLinks(id: string): string[] {
  const inward = [bridgeName(id), tunnelName(id)];
  return Object.entries(networkInterfaces()).flatMap(([device, addresses = []]) =>
    inward.includes(device) ? [] : addresses.flatMap(({ family, cidr, internal }) => (family === 'IPv4' && !internal && cidr !== null ? [cidr] : [])),
  );
}

/** Answers the MTU of the device that leads to the others. */
async function configure(options: PodNetworkOptions, podCidr: string): Promise<number> {
  const { id, clusterCidr, mode, cniConfigDir, stateDir, run = runCommand } = options;
  await mkdir(cniConfigDir, { recursive: true });
  await allowForwarding();
  const [linkMtu] = await Promise.all([hostMtu(run), run('nft', ['-f', '-'], outboundRules(networkTable(id), bridgeName(id), podCidr, clusterCidr))]);
  // Room for the tunnel's headers, also where no packet takes one yet: pods keep the size they started with.
  const mtu = mode === 'host-routes' ? linkMtu : linkMtu - tunnelOverhead;
  const config = cniConfig({ networkName: `k8ts-${id}`, bridge: bridgeName(id), podCidr, mtu, ipamDir: join(stateDir, 'ipam') });
  // Renamed into place: the runtime watches the directory and must never read half a file.
  const path = join(cniConfigDir, '10-k8ts.conflist');
  await writeFile(`${path}.tmp`, `${JSON.stringify(config, undefined, 2)}\n`);
  await rename(`${path}.tmp`, path);
  return linkMtu;
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
  await sysctl('net/bridge/bridge-nf-call-ip6tables', '1', true);
}

async function sysctl(name: string, value: string, mayMiss = false): Promise<void> {
  const path = `/proc/sys/${name}`;
  try {
    if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value);
  } catch (error) {
    if (!mayMiss) throw new Error(`cannot set ${name.replaceAll('/', '.')} to ${value}: ${String(error)}`, { cause: error });
  }
}

/** The smallest of this namespace's devices that lead outside, at most 1500. `/sys` would show those of the namespace it was mounted in. */
async function hostMtu(run: Run): Promise<number> {
  const devices = JSON.parse(await run('ip', ['-json', 'link', 'show', 'up'])) as readonly { ifname?: string; mtu?: number }[];
  const outward = devices.filter(({ ifname = 'lo' }) => ifname !== 'lo' && !ifname.startsWith('k8ts') && !ifname.startsWith('veth'));
  return Math.min(1500, ...outward.map(({ mtu = 1500 }) => mtu));
}

/** Takes away what {@link startPodNetwork} and the CNI plugins left on the host; what is not there is no error. */
export async function removePodNetwork(id: string, clusterCidr: string, run: Run = runCommand): Promise<void> {
  await run('nft', ['delete', 'table', 'ip', networkTable(id)]).catch(() => undefined);
  await run('ip', ['link', 'delete', bridgeName(id)]).catch(() => undefined);
  await removeNodeRoutes(id, clusterCidr, run);
}
