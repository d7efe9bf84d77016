/** The part of `k8ts up` that is about nodes in namespaces: those asked for with `--nodes`, and those added since. */
import type { World } from '../../world/world.ts';
import type { ClusterConfig } from '../config.ts';
import { runningDaemon } from '../daemon.ts';
import { adminClient } from '../node-ready.ts';
import type { Pki } from '../pki.ts';
import { claimNode, forgetNode, localNodes, startNodes } from './local-nodes.ts';
import { withNodeLocks } from './node-lock.ts';
import { isJoinedNode } from './node-record.ts';

/** `node-1`, `node-2` and so on: of these there should be some, whatever else was added. */
function wantedNames({ nodes = 0 }: ClusterConfig): string[] {
  return Array.from({ length: nodes }, (_, i) => `node-${i + 1}`);
}

export function allRun(config: ClusterConfig): boolean {
  const nodes = localNodes(config);
  return (
    wantedNames(config).every((name) => nodes.some((node) => node.name === name)) &&
    nodes.every(({ dataDir }) => runningDaemon(dataDir, 'node-agent') !== undefined)
  );
}

/** Makes those that are missing, and starts all that do not run. */
export async function startAll(config: ClusterConfig, pki: Pki, world: World, say: (line: string) => void): Promise<void> {
  const known = new Set(localNodes(config).map(({ name }) => name));
  for (const name of wantedNames(config)) if (!known.has(name)) claimNode(config, name);
  const nodes = localNodes(config);
  const client = adminClient(config, pki);
  try {
    await withNodeLocks(
      config,
      nodes.map(({ name }) => name),
      world,
      () => startNodes({ config, pki, client, world, say }, nodes),
    );
  } catch (error) {
    // What never became a node leaves no name behind.
    for (const node of nodes) if (!isJoinedNode(node.dataDir)) forgetNode(config, node);
    throw error;
  } finally {
    client.transport.close();
  }
}
