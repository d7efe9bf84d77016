/**
 * Joining a cluster: finds out whom to trust, reads what a node must know, and writes both down; the node agent that is started then asks for its
 * certificates. The same for a remote machine and for a namespace of the control plane's host. kubeadm's `join`.
 */
import { join } from 'node:path';
import { Node } from '../../api/kinds.ts';
import { httpTransport } from '../../client/http.ts';
import { createClient } from '../../client/typed-client.ts';
import { parseBootstrapToken } from '../../kubeadm/bootstrap-token.ts';
import { type ClusterFacts, readClusterFacts } from '../../kubeadm/cluster-facts.ts';
import { discoverAuthority, DiscoveryError } from '../../kubeadm/discovery.ts';
import { isReason } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import { ClusterError } from '../config.ts';
import { layoutOf } from '../layout.ts';
import { isReady, untilNodeReady } from '../node-ready.ts';
import type { NodeSettings } from '../node-settings.ts';
import { readPair } from '../pki.ts';
import { readNode, readTrust, writeNode } from './node-record.ts';

export interface JoinOptions {
  /** `https://10.0.0.1:6443`. */
  readonly server: string;
  readonly token: string;
  /** `sha256:…` of the authority's public key; none: the token alone is believed. */
  readonly caHashes: readonly string[];
  /** What the machine itself decides; the cluster tells the rest. */
  readonly node: Omit<NodeSettings, 'server' | keyof ClusterFacts>;
}

/** Resolves when the node's files are written. Rejects with {@link ClusterError} saying what to do. */
export async function joinCluster({ server, token: text, caHashes, node }: JoinOptions, world: World): Promise<NodeSettings> {
  const token = parseBootstrapToken(text);
  if (!token) throw new ClusterError(`--token ${text}: a token looks like abcdef.0123456789abcdef; k8ts token create makes one`);
  const ca = await discoverAuthority({ world, server, token, caHashes }).catch((error: unknown) => {
    if (error instanceof DiscoveryError) throw new ClusterError(error.message);
    throw new ClusterError(`the cluster at ${server} cannot be reached: ${error instanceof Error ? error.message : String(error)}`);
  });
  const facts = await askCluster(server, ca, text, node.nodeName);
  const { clusterCidr, clusterDomain, clusterDns, podNetwork } = facts;
  const settings: NodeSettings = { ...node, server, clusterCidr, clusterDomain, clusterDns, podNetwork };
  writeNode(settings, { ca, token: text });
  return settings;
}

async function askCluster(server: string, ca: string, token: string, nodeName: string): Promise<ClusterFacts> {
  const transport = httpTransport({ server, ca, token });
  try {
    const client = createClient(transport);
    const existing = await client
      .resource(Node)
      .get(nodeName)
      .catch((error: unknown) => {
        if (isReason(error, 'NotFound')) return undefined;
        throw error;
      });
    if (existing && isReady(existing)) {
      throw new ClusterError(
        `a Node with name "${nodeName}" and status "Ready" already exists in the cluster: delete it, or join with another --node-name`,
      );
    }
    return await readClusterFacts(client);
  } catch (error) {
    if (isReason(error, 'Unauthorized'))
      throw new ClusterError(`the cluster at ${server} no longer takes this token: make one with k8ts token create`);
    throw error;
  } finally {
    transport.close();
  }
}

/** Waits for the node whose agent was started to be Ready, asking as the node itself. */
export async function joinedNodeReady(dataDir: string, world: World, sinceMs: number, ended: AbortSignal): Promise<void> {
  const [{ server, nodeName }, layout] = [readNode(dataDir), layoutOf(dataDir)];
  const client = createClient(httpTransport({ server, ca: readTrust(dataDir).ca, ...readPair(layout.pki, 'kubelet') }));
  await untilNodeReady({ client, nodeName, log: join(layout.logs, 'node-agent.log'), world, sinceMs, ended });
}
