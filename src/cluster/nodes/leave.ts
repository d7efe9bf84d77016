/** `k8ts down` on a machine that joined a cluster elsewhere: what the node agent made is taken away; `--purge` forgets the node's data and certificates. */
import { rmSync } from 'node:fs';
import { removePodNetwork } from '../../network/pod-network.ts';
import { policiesTable } from '../../network/policy/policy-enforcer.ts';
import { removeTable } from '../../nftables/nftables.ts';
import { removeProxyRules } from '../../proxy/proxy.ts';
import type { World } from '../../world/world.ts';
import { stopDaemon } from '../daemon.ts';
import { announceDevice, proxyTable } from '../node-agent.ts';
import { isJoinedNode, readNode } from './node-record.ts';
import { sweepNode } from './node-remains.ts';

/** False when no node joined from this directory. */
export async function leaveMachine(dataDir: string, purge: boolean, world: World, say: (line: string) => void): Promise<boolean> {
  if (!isJoinedNode(dataDir)) return false;
  const { id, runtimeId, clusterCidr, nodeName } = readNode(dataDir);
  await stopDaemon(dataDir, 'node-agent', world);
  await sweepNode(dataDir, runtimeId, world, purge ? 'quickly' : 'in order');
  await removeProxyRules(proxyTable(id), announceDevice(id));
  await removeTable('inet', policiesTable(id));
  await removePodNetwork(id, clusterCidr);
  if (purge) rmSync(dataDir, { recursive: true, force: true });
  say(
    purge
      ? `The node ${nodeName} is gone from this machine; kubectl delete node ${nodeName} takes it out of the cluster.`
      : `The node ${nodeName} is down; k8ts up starts it again.`,
  );
  return true;
}
