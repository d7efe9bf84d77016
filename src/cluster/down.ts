/** `k8ts down`: stops all that a cluster started and takes its traces off the host; `--purge` forgets its data too. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { removeContext } from './kubectl-context.ts';
import { stopContainerd } from '../kubelet/runtime/containerd.ts';
import { unmountBelow } from '../kubelet/runtime/containerd-remains.ts';
import { removePodNetwork } from '../network/pod-network.ts';
import { policiesTable } from '../network/policy/policy-enforcer.ts';
import { removeTable } from '../nftables/nftables.ts';
import { removeProxyRules } from '../proxy/proxy.ts';
import type { World } from '../world/world.ts';
import { isRoot, readConfig } from './config.ts';
import { stopDaemon } from './daemon.ts';
import { layoutOf } from './layout.ts';
import { forgetHostDns } from './host-dns.ts';
import { announceDevice, proxyTable } from './node-agent.ts';
import { shutdownPatienceMs } from './shutdown-patience.ts';
import type { Say } from './up.ts';

export async function down(dataDir: string, purge: boolean, world: World, say: Say): Promise<void> {
  const config = readConfig(dataDir);
  if (!config) {
    const { leaveMachine } = await import('./nodes/leave.ts');
    if (await leaveMachine(dataDir, purge, world, say)) return;
    say(`There is no cluster in ${dataDir}.`);
    return;
  }
  // Data that is forgotten need not be written to its end.
  const how = purge ? 'quickly' : 'in order';
  // Nodes go first, so that they do not report what the sweep does to their pods.
  const locals = existsSync(layoutOf(dataDir).nodes) ? await (await import('./nodes/local-nodes.ts')).stopAllNodes(config, world, how) : false;
  const node = (await stopDaemon(dataDir, 'node-agent', world, await shutdownPatienceMs(config.kubeletConfig))) || locals;
  const controlPlane = await stopDaemon(dataDir, 'control-plane', world);
  if (config.runtime === 'containerd' && isRoot()) {
    const layout = layoutOf(dataDir);
    await stopContainerd({ dataDir, clusterId: config.id, world }, how);
    await unmountBelow(layout.kubelet);
    await removeProxyRules(proxyTable(config.id), announceDevice(config.id));
    forgetHostDns(config);
    await removeTable('inet', policiesTable(config.id));
    await removePodNetwork(config.id, config.clusterCidr);
    rmSync(join(layout.run, 'ipam'), { recursive: true, force: true });
    rmSync(layout.cniConfig, { recursive: true, force: true });
  }
  if (purge) {
    if (existsSync(dataDir)) rmSync(dataDir, { recursive: true, force: true });
    removeContext(config);
    say(`The cluster in ${dataDir} is gone, with its data.`);
  } else {
    say(
      node || controlPlane
        ? `The cluster in ${dataDir} is down; its data is kept (k8ts down --purge forgets it).`
        : `The cluster in ${dataDir} was down already.`,
    );
  }
}
