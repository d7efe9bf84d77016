/** `k8ts status`: what runs, where, and how the nodes are. */
import { Node } from '../api/kinds.ts';
import type { World } from '../world/world.ts';
import { hasHostNode, readConfig } from './config.ts';
import { type DaemonName, runningDaemon } from './daemon.ts';
import { adminClient, isReady } from './node-ready.ts';
import { localNodes } from './nodes/local-nodes.ts';
import { ensurePki } from './pki.ts';
import type { Say } from './up.ts';

/** True when everything the cluster should run does. */
export async function status(dataDir: string, world: World, say: Say): Promise<boolean> {
  const config = readConfig(dataDir);
  if (!config) {
    say(`There is no cluster in ${dataDir}. Start one: k8ts up`);
    return false;
  }
  const names: readonly DaemonName[] = hasHostNode(config) ? ['control-plane', 'node-agent'] : ['control-plane'];
  const pids = names.map((name) => runningDaemon(dataDir, name));
  for (const [index, name] of names.entries()) {
    const pid = pids[index];
    say(`${name.padEnd(14)} ${pid === undefined ? 'not running' : `running (pid ${pid})`}`);
  }
  const nodes = localNodes(config).map(({ name, dataDir: directory }) => ({ name, pid: runningDaemon(directory, 'node-agent') }));
  for (const { name, pid } of nodes) say(`${name.padEnd(14)} ${pid === undefined ? 'not running' : `running (pid ${pid})`}`);
  say(`${'data'.padEnd(14)} ${dataDir} (store: ${config.store})`);
  say(`${'API'.padEnd(14)} https://127.0.0.1:${config.port}`);
  if (pids[0] === undefined) return false;
  const client = adminClient(config, await ensurePki(config, world));
  try {
    const { items } = await client.resource(Node).list();
    for (const node of items) say(`${'node'.padEnd(14)} ${node.metadata.name} ${isReady(node) ? 'Ready' : 'NotReady'} (${config.runtime})`);
    return !pids.includes(undefined) && nodes.every(({ pid }) => pid !== undefined) && items.every(isReady);
  } catch (error) {
    say(`${'API'.padEnd(14)} does not answer: ${String(error)}`);
    return false;
  } finally {
    client.transport.close();
  }
}
