/**
 * The pod network of one node: waits for the node's `podCIDRs`, configures CNI for them, lets the host forward, masquerades what leaves the cluster, and
 * keeps a way to every other node's pods. A node alone has nobody to reach, and no tunnel.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { Node } from '../api/node-kinds.ts';
import type { Client } from '../client/client.ts';
import type { Informers } from '../client/informer.ts';
import { isV6 } from '../machinery/ip.ts';
import type { World } from '../world/world.ts';
import { cniConfig } from './cni-config.ts';
import { type Run, runCommand } from './command.ts';
import { allowForwarding, hasIpv6, seeBridgedPackets } from './forwarding.ts';
import { NodeRoutes, removeNodeRoutes, tunnelName, tunnelOverhead } from './node-routes.ts';
import { outboundRules, removeOutboundRules } from './outbound-rules.ts';
import { annotationsOf, planPeers, type PodNetworkMode, podCidrsOf, type TunnelEnd, deviceMac } from './peers.ts';
import { prepareBridge } from './pod-bridge.ts';

export interface PodNetworkOptions {
  readonly world: World;
  /** Of someone who may see all Nodes. */
  readonly informers: Informers;
  /** Of someone who may annotate this Node. */
  readonly client: Client;
  readonly nodeName: string;
  /** The node's addresses: one, or one of each family, the IPv4 one first. */
  readonly nodeIps: readonly string[];
  /** Names devices and the nftables tables of this cluster on this host. */
  readonly id: string;
  /** One range, or one of each family. */
  readonly clusterCidr: string;
  readonly mode: PodNetworkMode;
  readonly vni: number;
  readonly port: number;
  /** Where nodes that are not on this one's link reach its tunnel, when that is not at its own address. */
  readonly tunnelDoor?: TunnelEnd;
  readonly cniConfigDir: string;
  readonly stateDir: string;
  readonly run?: Run;
}

export interface PodNetwork {
  /** Resolves with the node's ranges once pods can be given addresses out of them. */
  readonly ready: Promise<readonly string[]>;
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
  const known = Promise.withResolvers<readonly string[]>();
  let changed = (): void => {};
  const look = (node: Node): void => {
    if (node.metadata.name === nodeName && podCidrsOf(node).length > 0) known.resolve(podCidrsOf(node));
    changed();
  };
  const unsubscribe = nodes.subscribe({ added: look, updated: look, deleted: () => changed() });

  const ready = known.promise.then(async (given) => {
    if (options.mode === 'none') {
      log.info('the pod network is left to others', { podCidrs: given });
      return given;
    }
    // A machine without IPv6 can be a node of a cluster that has it: its pods have IPv4 only.
    const v6 = given.some(isV6) && hasIpv6();
    const podCidrs = given.filter((range) => v6 || !isV6(range));
    const linkMtu = await configure(options, podCidrs);
    log.info('pod network configured', { podCidrs, bridge: bridgeName(options.id) });
    changed = keepRoutes(options, podCidrs, linkMtu, closed.signal);
    changed();
    return podCidrs;
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
function keepRoutes(options: PodNetworkOptions, podCidrs: readonly string[], linkMtu: number, signal: AbortSignal): () => void {
  const { world, informers, client, nodeName, nodeIps, id, mode, vni, tunnelDoor, run = runCommand } = options;
  const log = world.log.child('network');
  const nodes = informers.of(Node);
  const routes = new NodeRoutes({ ...options, run, nodeIp: nodeIps[0] ?? '', podCidrs, linkMtu });
  let [dirty, busy] = [false, false];
  let shown = '';

  async function round(): Promise<void> {
    const all = nodes.list();
    // Alone, a node need not say how it can be reached.
    if (all.length > 1) await announce(all.find(({ metadata }) => metadata.name === nodeName));
    const peers = planPeers({ nodeName, links: ownLinks(id), mode, v6: podCidrs.some(isV6) }, all);
    const text = JSON.stringify(peers);
    await routes.apply(peers);
    if (text !== shown && (peers.length > 0 || shown !== ''))
      log.info('ways to other nodes', { peers: peers.map(({ kind, podCidr: range }) => `${range} ${kind}`) });
    shown = text;
  }

  async function announce(self: Node | undefined): Promise<void> {
    const onLink = (networkInterfaces()[linkName(id)] ?? []).filter(isGlobal).map(({ address }) => address);
    const annotations = annotationsOf({
      mac: deviceMac(nodeName, id),
      vni,
      addresses: [...nodeIps, ...onLink],
      ...(tunnelDoor && { door: tunnelDoor }),
    });
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
    inward.includes(device) ? [] : addresses.filter(isGlobal).flatMap(({ cidr }) => cidr ?? []),
  );
}

/** Known beyond one device: every device has an IPv6 address of its own (fe80::) that says nothing of where it leads. */
function isGlobal({ internal, address }: NetworkInterfaceInfo): boolean {
  return !internal && !/^fe[89ab]/i.test(address);
}

/** Answers the MTU of the device that leads to the others. */
async function configure(options: PodNetworkOptions, podCidrs: readonly string[]): Promise<number> {
  const { id, nodeName, clusterCidr, mode, cniConfigDir, stateDir, run = runCommand } = options;
  await mkdir(cniConfigDir, { recursive: true });
  await allowForwarding({ v6: podCidrs.some(isV6) }, run);
  await seeBridgedPackets();
  const rules = outboundRules({ table: networkTable(id), bridge: bridgeName(id), podCidrs, clusterCidr });
  const [linkMtu] = await Promise.all([hostMtu(run), run('nft', ['-f', '-'], rules)]);
  // Room for the tunnel's headers, also where no packet takes one yet: pods keep the size they started with.
  const mtu = mode === 'host-routes' ? linkMtu : linkMtu - tunnelOverhead;
  await prepareBridge({ name: bridgeName(id), mac: deviceMac(`${nodeName} bridge`, id), mtu, podCidrs }, run);
  const config = cniConfig({ networkName: `k8ts-${id}`, bridge: bridgeName(id), podCidrs, mtu, ipamDir: join(stateDir, 'ipam') });
  // Renamed into place: the runtime watches the directory and must never read half a file.
  const path = join(cniConfigDir, '10-k8ts.conflist');
  await writeFile(`${path}.tmp`, `${JSON.stringify(config, undefined, 2)}\n`);
  await rename(`${path}.tmp`, path);
  return linkMtu;
}

/** The smallest of this namespace's devices that lead outside, at most 1500. `/sys` would show those of the namespace it was mounted in. */
async function hostMtu(run: Run): Promise<number> {
  const devices = JSON.parse(await run('ip', ['-json', 'link', 'show', 'up'])) as readonly { ifname?: string; mtu?: number }[];
  const outward = devices.filter(({ ifname = 'lo' }) => ifname !== 'lo' && !ifname.startsWith('k8ts') && !ifname.startsWith('veth'));
  return Math.min(1500, ...outward.map(({ mtu = 1500 }) => mtu));
}

/** Takes away what {@link startPodNetwork} and the CNI plugins left on the host; what is not there is no error. */
export async function removePodNetwork(id: string, clusterCidr: string, run: Run = runCommand): Promise<void> {
  await removeOutboundRules(networkTable(id), run);
  await run('ip', ['link', 'delete', bridgeName(id)]).catch(() => undefined);
  await removeNodeRoutes(id, clusterCidr, run);
}
