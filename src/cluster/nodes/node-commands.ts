/** `k8ts node …`: what can be done with one node of this host. */
import { Node } from '../../api/kinds.ts';
import type { World } from '../../world/world.ts';
import { type ClusterConfig, ClusterError, readConfig } from '../config.ts';
import { killDaemon, runningDaemon } from '../daemon.ts';
import { adminClient, isReady } from '../node-ready.ts';
import { ensurePki } from '../pki.ts';
import {
  abandonNode,
  claimNode,
  cutOff,
  deleteNode,
  findLocalNode,
  heal,
  type Host,
  localNodes,
  startNodes,
  stateOf,
  stopNode,
} from './local-nodes.ts';
import { withNodeLocks } from './node-lock.ts';

export type NodeVerb = 'add' | 'start' | 'stop' | 'kill' | 'partition' | 'heal' | 'delete';

type Say = (line: string) => void;

const acts: Readonly<Record<NodeVerb, (host: Host, name: string) => Promise<string>>> = {
  async add(host, name) {
    const node = claimNode(host.config, name);
    try {
      await startNodes(host, [node]);
    } catch (error) {
      await abandonNode(host, node);
      throw error;
    }
    return `Node ${name} is Ready at ${node.address}.`;
  },
  async start(host, name) {
    const node = findLocalNode(host.config, name);
    if (runningDaemon(node.dataDir, 'node-agent') !== undefined) return `Node ${name} runs already.`;
    await startNodes(host, [node]);
    return `Node ${name} is Ready.`;
  },
  async stop({ config, world }, name) {
    await stopNode(findLocalNode(config, name), world, 'in order');
    return `Node ${name} is stopped; k8ts node start ${name} brings it back.`;
  },
  async kill({ config, world }, name) {
    await stopNode(findLocalNode(config, name), world, 'at once');
    return `Node ${name} was killed, as by a power cut; k8ts node start ${name} brings it back.`;
  },
  async partition({ config }, name) {
    await cutOff(findLocalNode(config, name));
    return `Node ${name} is cut off; k8ts node heal ${name} connects it again.`;
  },
  async heal({ config }, name) {
    await heal(findLocalNode(config, name));
    return `Node ${name} is connected again.`;
  },
  async delete(host, name) {
    await deleteNode(host, findLocalNode(host.config, name));
    return `Node ${name} is gone, with its data.`;
  },
};

export async function runNodeVerb(verb: NodeVerb, dataDir: string, name: string, world: World, say: Say): Promise<void> {
  await withCluster(dataDir, world, say, async (host) => {
    // A power cut waits for nobody: a node that is being started falls over, and whoever starts it tidies up first.
    if (verb === 'kill') killDaemon(findLocalNode(host.config, name).dataDir, 'node-agent');
    say(await withNodeLocks(host.config, [name], world, () => acts[verb](host, name)));
  });
}

/** Nodes on this host with their state here, and what the API says of every node. */
export async function listNodes(dataDir: string, world: World, say: Say): Promise<void> {
  await withCluster(dataDir, world, say, async ({ config, client }) => {
    const known = await client.resource(Node).list();
    const locals = localNodes(config);
    const row = (...cells: string[]): string => cells.map((cell, index) => (index === cells.length - 1 ? cell : cell.padEnd(16))).join('');
    say(row('NAME', 'ADDRESS', 'HERE', 'API'));
    for (const local of locals) {
      const node = known.items.find(({ metadata }) => metadata.name === local.name);
      say(row(local.name, local.address, await stateOf(local), node === undefined ? 'unknown' : isReady(node) ? 'Ready' : 'NotReady'));
    }
    for (const node of known.items.filter(({ metadata }) => !locals.some(({ name }) => name === metadata.name))) {
      const address = node.status.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
      say(row(node.metadata.name, address, node.metadata.name === config.nodeName ? 'the host' : 'elsewhere', isReady(node) ? 'Ready' : 'NotReady'));
    }
  });
}

/** With the cluster's files and an administrator's connection. Throws {@link ClusterError} when it is not up. */
export async function withCluster(dataDir: string, world: World, say: Say, act: (host: Host) => Promise<void>): Promise<void> {
  const config = runningCluster(dataDir);
  const pki = await ensurePki(config, world);
  const client = adminClient(config, pki);
  try {
    await act({ config, pki, client, world, say });
  } finally {
    client.transport.close();
  }
}

function runningCluster(dataDir: string): ClusterConfig {
  const config = readConfig(dataDir);
  if (!config) throw new ClusterError(`there is no cluster in ${dataDir}: k8ts up makes one`);
  if (runningDaemon(dataDir, 'control-plane') === undefined) throw new ClusterError(`the cluster in ${dataDir} is down: start it with k8ts up`);
  return config;
}
