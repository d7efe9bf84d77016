/** `k8ts up`: prepares a cluster's files, starts what does not run yet in the background, waits until the node is Ready and says what to do next. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { hasIpv6 } from '../network/forwarding.ts';
import type { World } from '../world/world.ts';
import { isDualStack } from './address-ranges.ts';
import { refuseChanges } from './changed-choices.ts';
import { checkAddress } from './check-address.ts';
import {
  type ClusterChoices,
  type ClusterConfig,
  ClusterError,
  chooseConfig,
  defaultDataDir,
  hasHostNode,
  isRoot,
  keepConfig,
  readConfig,
} from './config.ts';
import { type DaemonName, previousGone, runningDaemon, startDaemon, stopDaemon } from './daemon.ts';
import { layoutOf } from './layout.ts';
import { checkContext, writeContext } from './kubectl-context.ts';
import { ensurePki } from './pki.ts';
import { checkRealContainers, findCommand } from './preflight.ts';

export type Say = (line: string) => void;

/** Resolves when the cluster works; rejects with {@link ClusterError} saying what to do otherwise. */
export async function up(choices: ClusterChoices, world: World, say: Say): Promise<void> {
  const startMs = world.clock.now();
  const dataDir = resolve(choices.dataDir ?? defaultDataDir());
  if (existsSync(join(dataDir, 'node.json'))) {
    const { restartJoinedNode } = await import('./nodes/join-command.ts');
    return restartJoinedNode(dataDir, world, say);
  }
  if (choices.nodes !== undefined) checkNodeCount(dataDir, choices.nodes);
  const config = chooseConfig(choices);
  checkHost(config);
  checkContext(config);
  const running = runningDaemon(config.dataDir, 'control-plane') !== undefined;
  if (running) {
    refuseChanges(readConfig(config.dataDir) ?? config, config);
  } else {
    await previousGone(config.dataDir, 'control-plane', world);
    await checkAddress(config);
  }
  keepConfig(config);
  const pki = await ensurePki(config, world);
  const hostNode = hasHostNode(config);
  const nodeRunning = !hostNode || runningDaemon(config.dataDir, 'node-agent') !== undefined;
  // A cluster without nodes in namespaces reads nothing about them.
  const locals = config.nodes !== undefined || existsSync(layoutOf(config.dataDir).nodes) ? await import('./nodes/cluster-nodes.ts') : undefined;
  if (running && nodeRunning && (locals === undefined || locals.allRun(config))) {
    const context = writeContext(config, pki);
    say(`The cluster is up already: https://127.0.0.1:${config.port} (kubectl context "${context}").`);
    return;
  }
  say(`Starting a Kubernetes v1.36 cluster in ${config.dataDir}`);
  // Both at once: the node agent's container runtime starts while the API server does.
  const starting: DaemonName[] = [...(running ? [] : (['control-plane'] as const)), ...(nodeRunning ? [] : (['node-agent'] as const))];
  try {
    const daemons = await Promise.all(starting.map((name) => startDaemon(config.dataDir, name, world, (text) => say(`  ${name}: ${text}`))));
    // What waiting takes is loaded while the daemons start.
    const [{ nodeReady }] = await Promise.all([import('./node-ready.ts'), ...daemons.map(({ ready }) => ready)]);
    // A kubelet that went on running need not say again what it said before.
    if (hostNode && config.podNetwork !== 'none') await nodeReady(config, pki, world, nodeRunning ? 0 : startMs);
    await locals?.startAll(config, pki, world, say);
  } catch (error) {
    // Half a cluster helps nobody: what this call started ends with it.
    for (const name of starting.reverse()) await stopDaemon(config.dataDir, name, world);
    throw error;
  }
  const context = writeContext(config, pki);
  const seconds = ((world.clock.now() - startMs) / 1000).toFixed(1);
  say(`Ready in ${seconds} s: https://127.0.0.1:${config.port} (kubectl context "${context}").`);
  if (config.runtime === 'simulated' && !config.controlPlaneOnly) {
    say('Pods on this node are simulated.' + (isRoot() ? '' : ' Real containers need root: k8ts down, then sudo k8ts up.'));
  }
  for (const line of nextSteps(config)) say(line);
}

/** A cluster comes to more nodes by `up` when it began with several; else by `node add`. */
function checkNodeCount(dataDir: string, wanted: number): void {
  const kept = readConfig(dataDir);
  const now = kept?.nodes ?? 1;
  if (kept === undefined || wanted === now) return;
  if (kept.nodes === undefined)
    throw new ClusterError(`the cluster in ${kept.dataDir} began with its node on the host: add others with k8ts node add NAME`);
  if (wanted < now) throw new ClusterError(`the cluster in ${kept.dataDir} began with ${now} nodes: take some away with k8ts node delete NAME`);
}

function nextSteps(config: ClusterConfig): string[] {
  if (config.controlPlaneOnly) {
    return [
      'Try:',
      '  kubectl get namespaces',
      '  kubectl create configmap first --from-literal=greeting=hello',
      '  kubectl get configmap first -o yaml',
    ];
  }
  const image = config.runtime === 'containerd' ? 'k8ts.local/hello:1' : 'nginx';
  return [
    'Try:',
    '  kubectl get nodes',
    `  kubectl create deployment web --image=${image}`,
    `  kubectl expose deployment web --port=80 --target-port=8080 --type=NodePort && kubectl get service web`,
    ...(findCommand('kubectl') === undefined ? ['(kubectl is not on this machine: https://kubernetes.io/docs/tasks/tools/ has it)'] : []),
  ];
}

function checkHost(config: ClusterConfig): void {
  if (config.runtime !== 'containerd' || config.controlPlaneOnly) return;
  if (isDualStack(config) && !hasIpv6())
    throw new ClusterError('a dual-stack cluster needs IPv6, which is switched off on this machine or not in its kernel (k8ts doctor)');
  checkRealContainers('\nor start with --runtime simulated');
}
