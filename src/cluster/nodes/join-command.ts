/** `k8ts join`: makes this machine a node of a cluster elsewhere, with the node agent in the background under a data directory of its own. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { World } from '../../world/world.ts';
import { ClusterError, hostAddress, hostAddress6, isRoot, readConfig } from '../config.ts';
import { isV6 } from '../../machinery/ip.ts';
import { runningDaemon, startDaemon, stopDaemon } from '../daemon.ts';
import { checkRealContainers } from '../preflight.ts';
import { joinCluster, joinedNodeReady } from './join.ts';
import { isJoinedNode, readNode } from './node-record.ts';

export interface JoinFlags {
  readonly token: string;
  readonly discoveryTokenCaCertHash: readonly string[];
  readonly discoveryTokenUnsafeSkipCaVerification?: boolean;
  readonly nodeName?: string;
  readonly nodeIp?: string;
  readonly dataDir?: string;
}

type Say = (line: string) => void;

/** Also starts a node again that joined before. */
export async function joinAsNode(server: string, flags: JoinFlags & { readonly dataDir: string }, world: World, say: Say): Promise<void> {
  const { dataDir } = flags;
  check(server, flags);
  if (runningDaemon(dataDir, 'node-agent') !== undefined) throw new ClusterError(`a node runs in ${dataDir} already: k8ts down ends it`);
  const id = createHash('sha256').update(dataDir).digest('hex').slice(0, 6);
  const sinceMs = world.clock.now();
  const settings = await joinCluster(
    {
      server,
      token: flags.token,
      caHashes: flags.discoveryTokenCaCertHash,
      node: {
        dataDir,
        id,
        runtimeId: id,
        nodeName: (flags.nodeName ?? hostname()).toLowerCase(),
        ...addressesOf(flags),
        runtime: 'containerd',
        kubeletPort: 10_250,
        dnsPort: 10_053,
      },
    },
    world,
  );
  say(`Joining the cluster at ${server} as ${settings.nodeName}`);
  const { ready, ended } = await startDaemon(dataDir, 'node-agent', world, (text) => say(`  ${text}`));
  try {
    await ready;
    if (settings.podNetwork.mode !== 'none') await joinedNodeReady(dataDir, world, sinceMs, ended);
  } catch (error) {
    await stopDaemon(dataDir, 'node-agent', world);
    throw error;
  }
  say(`Node ${settings.nodeName} is Ready.`);
}

/** A node that joined before, brought back after `k8ts down` or a reboot: `k8ts up` in its data directory. */
export async function restartJoinedNode(dataDir: string, world: World, say: Say): Promise<void> {
  const { nodeName, podNetwork } = readNode(dataDir);
  if (runningDaemon(dataDir, 'node-agent') !== undefined) {
    say(`Node ${nodeName} is up already.`);
    return;
  }
  const sinceMs = world.clock.now();
  const { ready, ended } = await startDaemon(dataDir, 'node-agent', world, (text) => say(`  ${text}`));
  await ready;
  if (podNetwork.mode !== 'none') await joinedNodeReady(dataDir, world, sinceMs, ended);
  say(`Node ${nodeName} is Ready.`);
}

/** Those given, or the host's own. Throws {@link ClusterError} for what is no address, or two of one family. */
function addressesOf({ nodeIp: given }: JoinFlags): { readonly nodeIp: string; readonly nodeIp6?: string } {
  const addresses = given === undefined ? [hostAddress(), hostAddress6() ?? []].flat() : given.split(',').map((text) => text.trim());
  const [nodeIp, nodeIp6] = addresses.toSorted((a, b) => Number(isV6(a)) - Number(isV6(b)));
  if (nodeIp === undefined || isIP(nodeIp) !== 4 || (nodeIp6 !== undefined && isIP(nodeIp6) !== 6) || addresses.length > 2)
    throw new ClusterError(`--node-ip ${given}: an IPv4 address, and an IPv6 one beside it where the cluster has both`);
  return { nodeIp, ...(nodeIp6 !== undefined && { nodeIp6 }) };
}

function check(server: string, flags: JoinFlags & { readonly dataDir: string }): void {
  const { discoveryTokenCaCertHash: hashes, dataDir } = flags;
  if (!/^https:\/\/[^/]+$/.test(server)) throw new ClusterError(`${server}: the server is given as https://HOST:PORT`);
  if (!isRoot()) throw new ClusterError('a node runs real containers and needs root: run with sudo');
  const odd = hashes.find((hash) => !/^sha256:[0-9a-f]{64}$/.test(hash));
  if (odd !== undefined) throw new ClusterError(`--discovery-token-ca-cert-hash ${odd}: a hash looks like sha256:<64 hex digits>`);
  if (hashes.length === 0 && flags.discoveryTokenUnsafeSkipCaVerification !== true) {
    throw new ClusterError(
      'without --discovery-token-ca-cert-hash anybody who knows the token could pose as the cluster: give it, or --discovery-token-unsafe-skip-ca-verification',
    );
  }
  if (readConfig(dataDir)) throw new ClusterError(`${dataDir} holds a cluster of its own: give another --data-dir`);
  if (isJoinedNode(dataDir)) throw new ClusterError(`${dataDir} holds a node already: k8ts up starts it, k8ts down --purge forgets it`);
  checkRealContainers();
}
