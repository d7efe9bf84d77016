/** The nodes of this host that are in namespaces of their own: which there are, and how one is made, started, stopped, cut off and removed. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EndpointSlice, Lease, Node } from '../../api/kinds.ts';
import type { Client } from '../../client/client.ts';
import { bootstrapTokenText, createBootstrapToken, deleteBootstrapToken, newBootstrapToken } from '../../kubeadm/bootstrap-token.ts';
import { endMs } from '../../kubeadm/certificate-keeper.ts';
import { publicKeyHash } from '../../kubeadm/discovery.ts';
import { isReason } from '../../machinery/errors.ts';
import type { StopManner } from '../../kubelet/runtime/containerd.ts';
import type { World } from '../../world/world.ts';
import { type ClusterConfig, ClusterError, hasHostNode, isRoot } from '../config.ts';
import { killDaemon, runningDaemon, startDaemon, stopDaemon } from '../daemon.ts';
import { layoutOf } from '../layout.ts';
import { nodeChoices } from '../node-settings.ts';
import { type Pki, readPair } from '../pki.ts';
import { shutdownPatienceMs } from '../shutdown-patience.ts';
import { clusterJoinSupport } from './cluster-join-support.ts';
import { joinCluster, joinedNodeReady } from './join.ts';
import { layWays, removeWays } from './host-ways.ts';
import { ensureLink, linkOf, removeLink } from './link.ts';
import { freeAddress, linkAddress6 } from './link-addresses.ts';
import {
  inside,
  isPluggedIn,
  isWhole,
  makeNamespace,
  namespaceExists,
  type NodeNamespace,
  namespaceOf,
  plugIn,
  removeNamespace,
  unplug,
} from './namespace.ts';
import { isJoinedNode, readNode, readTrust, writeNode } from './node-record.ts';
import { withNodeLocks } from './node-lock.ts';
import { sweepNode } from './node-remains.ts';
import { tunnelDoorOf } from './tunnel-doors.ts';

/** A node in a namespace. */
export interface LocalNode {
  readonly name: string;
  readonly dataDir: string;
  readonly address: string;
  readonly namespace: NodeNamespace;
  /** Of its container runtime and control group. */
  readonly runtimeId: string;
}

export type LocalNodeState = 'running' | 'cut off' | 'stopped';

/** What every act needs: the cluster, its certificates, and the administrator's connection. */
export interface Host {
  readonly config: ClusterConfig;
  readonly pki: Pki;
  readonly client: Client;
  readonly world: World;
  readonly say: (line: string) => void;
}

/** Long enough for a node to start on a busy machine; the token goes as soon as it did. */
const tokenMs = 15 * 60_000;
const kubeletPort = 10_250;
const dnsPort = 10_053;

/** Sorted by name, with numbers as numbers. Nodes that were never joined are among them: they have an address at least. */
export function localNodes({ dataDir, id }: ClusterConfig): LocalNode[] {
  const directory = layoutOf(dataDir).nodes;
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .flatMap((entry) => {
      const [, address = '', name = ''] = /^at-([\d.]+)-(.+)$/.exec(entry) ?? [];
      return name === '' ? [] : [localNode(dataDir, id, name, address)];
    })
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

function localNode(dataDir: string, clusterId: string, name: string, address: string): LocalNode {
  return {
    name,
    address,
    dataDir: join(layoutOf(dataDir).nodes, name),
    namespace: namespaceOf(clusterId, name, address),
    runtimeId: `${clusterId}-${name}`,
  };
}

/** Throws {@link ClusterError} when there is none of that name. */
export function findLocalNode(config: ClusterConfig, name: string): LocalNode {
  const nodes = localNodes(config);
  const found = nodes.find((node) => node.name === name);
  if (found) return found;
  const known = nodes.map((node) => node.name).join(', ');
  throw new ClusterError(`there is no node ${name} on this host${known === '' ? ': k8ts node add makes one' : `, only ${known}`}`);
}

/** Claims a name and an address. Throws {@link ClusterError} for a name that is taken or no name for a node. */
export function claimNode(config: ClusterConfig, name: string): LocalNode {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) {
    throw new ClusterError(`"${name}" is no name for a node: lower-case letters, digits and "-", at most 63, as in a host's name`);
  }
  if (!isRoot()) throw new ClusterError('a node in a namespace of its own needs root: run with sudo');
  if (config.runtime !== 'containerd')
    throw new ClusterError('nodes in namespaces run real containers: start the cluster without --runtime simulated');
  const link = linkOf(config);
  mkdirSync(layoutOf(config.dataDir).nodes, { recursive: true });
  for (;;) {
    const nodes = localNodes(config);
    if (nodes.some((node) => node.name === name) || (hasHostNode(config) && config.nodeName === name))
      throw new ClusterError(`there is a node ${name} already`);
    const address = freeAddress(
      link.cidr,
      nodes.map((node) => node.address),
    );
    try {
      writeFileSync(join(layoutOf(config.dataDir).nodes, `at-${address}-${name}`), '', { flag: 'wx' });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue;
      throw error;
    }
    // Another command may have taken the same address for another name at the same moment: who comes first by name keeps it.
    const rival = localNodes(config).find((node) => node.address === address && node.name < name);
    if (!rival) return localNode(config.dataDir, config.id, name, address);
    rmSync(join(layoutOf(config.dataDir).nodes, `at-${address}-${name}`));
  }
}

export async function stateOf(node: LocalNode): Promise<LocalNodeState> {
  if (runningDaemon(node.dataDir, 'node-agent') === undefined) return 'stopped';
  return (await isPluggedIn(node.namespace)) ? 'running' : 'cut off';
}

/** Starts nodes that do not run, joining those that never did, and waits until each is Ready. All at once. */
export async function startNodes(host: Host, nodes: readonly LocalNode[]): Promise<void> {
  const { config, client, world } = host;
  const idle = nodes.filter((node) => runningDaemon(node.dataDir, 'node-agent') === undefined);
  if (idle.length === 0) return;
  const link = await ensureLink(
    config,
    localNodes(config).map(({ address }) => address),
  );
  const strangers = idle.filter((node) => !canProveItself(node, world));
  const token = newBootstrapToken(world);
  if (strangers.length > 0) {
    await clusterJoinSupport(config, host.pki, client);
    await createBootstrapToken(client, world, token, { ttlMs: tokenMs, description: `for ${strangers.map(({ name }) => name).join(', ')}, by k8ts` });
  }
  try {
    const outcomes = await Promise.allSettled(
      idle.map(async (node) => {
        // One that lost its agent only keeps its containers.
        if (!(await isWhole(node.namespace))) await makeNamespace(node.namespace, link);
        if (strangers.includes(node)) await joinNode(host, node, bootstrapTokenText(token));
        await startNode(host, node);
      }),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) {
      // All or none: who called can call again.
      await Promise.all(idle.map((node) => stopNode(node, world, 'quickly')));
      throw failed.reason;
    }
  } finally {
    if (strangers.length > 0) await deleteBootstrapToken(client, token.id).catch(() => undefined);
  }
}

/** A certificate it has, and that still lasts. */
function canProveItself(node: LocalNode, world: World): boolean {
  if (!isJoinedNode(node.dataDir)) return false;
  const pair = readPair(layoutOf(node.dataDir).pki, 'kubelet');
  return pair !== undefined && endMs(pair) > world.clock.now();
}

/** The same as on a remote machine, from this one. */
async function joinNode({ config, pki, world }: Host, node: LocalNode, token: string): Promise<void> {
  const server = `https://${linkOf(config).gateway}:${config.port}`;
  // Joined before, its certificate ran out while it was stopped: who it is stays, how it proves it is new.
  if (isJoinedNode(node.dataDir)) return writeNode(readNode(node.dataDir), { ...readTrust(node.dataDir), token });
  const { id, runtime } = config;
  const machine = {
    dataDir: node.dataDir,
    id,
    runtimeId: node.runtimeId,
    namespace: node.namespace.name,
    nodeName: node.name,
    nodeIp: node.address,
    ...(config.linkCidr6 !== undefined && { nodeIp6: linkAddress6(config.linkCidr6, node.address) }),
    runtime,
    kubeletPort,
    dnsPort,
  };
  await joinCluster({ server, token, caHashes: [publicKeyHash(pki.ca.certificate)], node: machine }, world);
}

async function startNode(host: Host, node: LocalNode): Promise<void> {
  const { config, world, say } = host;
  const sinceMs = world.clock.now();
  // As the cluster was told at its last start, whatever it was when the node joined.
  const tunnelDoor = tunnelDoorOf(config, node.address);
  writeNode({ ...readNode(node.dataDir), ...nodeChoices(config), ...(tunnelDoor && { tunnelDoor }) }, readTrust(node.dataDir));
  const { ready, ended } = await startDaemon(node.dataDir, 'node-agent', world, (text) => say(`  ${node.name}: ${text}`), inside(node.namespace));
  await ready;
  // Without a network of ours it is Ready when another's is there.
  if (readNode(node.dataDir).podNetwork.mode !== 'none') await joinedNodeReady(node.dataDir, world, sinceMs, ended);
  if (!hasHostNode(config)) await layWays(host.client, linkOf(config), node);
}

export async function stopNode(node: LocalNode, world: World, how: StopManner): Promise<void> {
  if (how === 'at once') killDaemon(node.dataDir, 'node-agent');
  else await stopDaemon(node.dataDir, 'node-agent', world, await patienceFor(node));
  await sweepNode(node.dataDir, node.runtimeId, world, how);
  await removeNamespace(node.namespace);
}

function patienceFor({ dataDir }: LocalNode): Promise<number> {
  return shutdownPatienceMs(isJoinedNode(dataDir) ? readNode(dataDir).kubeletConfig : undefined);
}

export async function cutOff(node: LocalNode): Promise<void> {
  mustRun(node);
  await unplug(node.namespace);
}

export async function heal(node: LocalNode): Promise<void> {
  mustRun(node);
  await plugIn(node.namespace);
}

function mustRun(node: LocalNode): void {
  if (namespaceExists(node.namespace) && runningDaemon(node.dataDir, 'node-agent') !== undefined) return;
  throw new ClusterError(`the node ${node.name} does not run: start it with k8ts node start ${node.name}`);
}

/** Without a drain: its pods end with it, and their controllers make others. */
export async function deleteNode({ config, client, world }: Host, node: LocalNode): Promise<void> {
  await stopNode(node, world, 'quickly');
  const ignoreMissing = (error: unknown): void => {
    if (!isReason(error, 'NotFound')) throw error;
  };
  await client.resource(Node).delete(node.name).catch(ignoreMissing);
  await client.resource(EndpointSlice).namespace('kube-system').delete(`kube-dns-${node.name}`).catch(ignoreMissing);
  // A young one has not learnt yet whose it is, and would stay.
  await client.resource(Lease).namespace('kube-node-lease').delete(node.name).catch(ignoreMissing);
  if (!hasHostNode(config)) await removeWays(linkOf(config), node);
  forgetNode(config, node);
}

/** One that was never ready: its Node goes too, unless another machine has the name. */
export async function abandonNode(host: Host, node: LocalNode): Promise<void> {
  const known = await host.client
    .resource(Node)
    .get(node.name)
    .catch(() => undefined);
  if (known?.status.addresses?.some(({ address }) => address === node.address)) await deleteNode(host, node);
  else forgetNode(host.config, node);
}

/** Its files, and its claim to an address. */
export function forgetNode({ dataDir }: ClusterConfig, node: LocalNode): void {
  rmSync(node.dataDir, { recursive: true, force: true });
  rmSync(join(layoutOf(dataDir).nodes, `at-${node.address}-${node.name}`), { force: true });
}

/** All of them, and the link between them, which outlives the last of them; their data stays. */
export async function stopAllNodes(config: ClusterConfig, world: World, how: StopManner): Promise<boolean> {
  const nodes = localNodes(config);
  const running = nodes.some((node) => runningDaemon(node.dataDir, 'node-agent') !== undefined);
  const names = nodes.map(({ name }) => name);
  await withNodeLocks(config, names, world, () => Promise.all(nodes.map((node) => stopNode(node, world, how))));
  await removeLink(config.id);
  return running;
}
