/** `k8ts up`: prepares a cluster's files, starts what does not run yet in the background, waits until the node is Ready and says what to do next. */
import { Node } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { httpTransport } from '../client/http.ts';
import { createClient } from '../client/typed-client.ts';
import { isReason } from '../machinery/errors.ts';
import type { World } from '../world/world.ts';
import { type ClusterChoices, type ClusterConfig, ClusterError, isRoot, prepareConfig } from './config.ts';
import { type DaemonName, runningDaemon, startDaemon, stopDaemon } from './daemon.ts';
import { writeContext } from './kubectl-context.ts';
import { ensurePki, type Pki } from './pki.ts';
import { preflight } from './preflight.ts';

export type Say = (line: string) => void;

const nodeReadyMs = 60_000;

/** Resolves when the cluster works; rejects with {@link ClusterError} saying what to do otherwise. */
export async function up(choices: ClusterChoices, world: World, say: Say): Promise<void> {
  const startMs = world.clock.now();
  const config = prepareConfig(choices);
  checkHost(config);
  const pki = await ensurePki(config, world);
  const running = runningDaemon(config.dataDir, 'control-plane') !== undefined;
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
    await Promise.all(starting.map((name) => startDaemon(config.dataDir, name, world, (text) => say(`  ${name}: ${text}`))));
    if (!config.controlPlaneOnly) await nodeReady(config, pki, world, startMs);
  } catch (error) {
    // Half a cluster helps nobody: what this call started ends with it.
    for (const name of starting.reverse()) await stopDaemon(config.dataDir, name, world);
    throw error;
  }
  const context = writeContext(config, pki);
  const seconds = ((world.clock.now() - startMs) / 1000).toFixed(1);
  say(`Ready in ${seconds} s: https://127.0.0.1:${config.port} (kubectl context "${context}").`);
  if (config.runtime === 'simulated' && !config.controlPlaneOnly) {
    say('Pods on this node are simulated.' + (isRoot() ? '' : ' As root (sudo npm start, with another --data-dir) they would be real containers.'));
  }
  for (const line of nextSteps(config)) say(line);
}

function nextSteps(config: ClusterConfig): string[] {
  const image = config.runtime === 'containerd' ? 'k8ts.local/hello:1' : 'nginx';
  return [
    'Try:',
    '  kubectl get nodes',
    `  kubectl create deployment web --image=${image}`,
    `  kubectl expose deployment web --port=80 --target-port=8080 --type=NodePort && kubectl get service web`,
  ];
}

function checkHost(config: ClusterConfig): void {
  if (config.runtime !== 'containerd' || config.controlPlaneOnly) return;
  const missing = preflight().filter((check) => !check.ok && check.optional !== true);
  if (missing.length === 0) return;
  const lines = missing.map((check) => `  ${check.name}: ${check.detail}${check.fix === undefined ? '' : `. Run: ${check.fix}`}`);
  throw new ClusterError(`this machine lacks what real containers need:\n${lines.join('\n')}\nor start with --runtime simulated`);
}

export function adminClient(config: ClusterConfig, pki: Pki): Client {
  return createClient(httpTransport({ server: `https://127.0.0.1:${config.port}`, ca: pki.ca.certificate, ...pki.admin }));
}

/** Waits until this run's kubelet says Ready, by watching: what an earlier one said does not count. */
async function nodeReady(config: ClusterConfig, pki: Pki, world: World, sinceMs: number): Promise<void> {
  const client = adminClient(config, pki);
  const deadline = new AbortController();
  const timer = world.clock.after(nodeReadyMs, () => deadline.abort());
  try {
    const nodes = client.resource(Node);
    const known = await nodes.get(config.nodeName).catch((error: unknown) => {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    });
    if (known && isReadySince(known, sinceMs)) return;
    for await (const event of nodes.watch({ fieldSelector: `metadata.name=${config.nodeName}`, signal: deadline.signal })) {
      if (event.type !== 'BOOKMARK' && isReadySince(event.object, sinceMs)) return;
    }
  } catch (error) {
    if (!deadline.signal.aborted) throw error;
  } finally {
    timer.cancel();
    client.transport.close();
  }
  throw new ClusterError(`node ${config.nodeName} is not Ready after ${nodeReadyMs / 1000} s: see ${config.dataDir}/logs/node-agent.log`);
}

export function isReady(node: Node): boolean {
  return node.status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
}

function isReadySince(node: Node, sinceMs: number): boolean {
  // Heartbeats are in whole seconds.
  const since = Math.floor(sinceMs / 1000) * 1000;
  return (
    isReady(node) &&
    (node.status.conditions ?? []).some(({ type, lastHeartbeatTime = '' }) => type === 'Ready' && Date.parse(lastHeartbeatTime) >= since)
  );
}
