/** `k8ts up`: prepares a cluster's files, starts what does not run yet in the background, waits until the node is Ready and says what to do next. */
import type { World } from '../world/world.ts';
import { refuseChanges } from './changed-choices.ts';
import { checkAddress } from './check-address.ts';
import { type ClusterChoices, type ClusterConfig, ClusterError, chooseConfig, isRoot, keepConfig, readConfig } from './config.ts';
import { type DaemonName, previousGone, runningDaemon, startDaemon, stopDaemon } from './daemon.ts';
import { checkContext, writeContext } from './kubectl-context.ts';
import { ensurePki } from './pki.ts';
import { findCommand, preflight } from './preflight.ts';

export type Say = (line: string) => void;

/** Resolves when the cluster works; rejects with {@link ClusterError} saying what to do otherwise. */
export async function up(choices: ClusterChoices, world: World, say: Say): Promise<void> {
  const startMs = world.clock.now();
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
  const nodeRunning = config.controlPlaneOnly || runningDaemon(config.dataDir, 'node-agent') !== undefined;
  if (running && nodeRunning) {
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
    if (!config.controlPlaneOnly) await nodeReady(config, pki, world, nodeRunning ? 0 : startMs);
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
  const missing = preflight().filter((check) => !check.ok && check.optional !== true);
  if (missing.length === 0) return;
  const lines = missing.map((check) => `  ${check.name}: ${check.detail}${check.fix === undefined ? '' : `. Run: ${check.fix}`}`);
  throw new ClusterError(`this machine lacks what real containers need:\n${lines.join('\n')}\nor start with --runtime simulated`);
}
