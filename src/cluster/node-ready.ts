/** Waiting for the node to say that it is Ready, and the administrator's connection to ask over. */
import { join } from 'node:path';
import { Node } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { httpTransport } from '../client/http.ts';
import { createClient } from '../client/typed-client.ts';
import { isReason } from '../machinery/errors.ts';
import type { World } from '../world/world.ts';
import { type ClusterConfig, ClusterError } from './config.ts';
import { runningDaemon } from './daemon.ts';
import { layoutOf } from './layout.ts';
import type { Pki } from './pki.ts';

const nodeReadyMs = 60_000;

export function adminClient(config: ClusterConfig, pki: Pki): Client {
  return createClient(httpTransport({ server: `https://127.0.0.1:${config.port}`, ca: pki.ca.certificate, ...pki.admin }));
}

/** Waits until this run's kubelet says Ready, by watching: what an earlier one said does not count. */
export async function nodeReady(config: ClusterConfig, pki: Pki, world: World, sinceMs: number): Promise<void> {
  const log = join(layoutOf(config.dataDir).logs, 'node-agent.log');
  await untilNodeReady({ client: adminClient(config, pki), nodeName: config.nodeName, log, world, sinceMs }).catch((error: unknown) => {
    throw error instanceof ClusterError ? error : (endedMeanwhile(config) ?? error);
  });
}

export interface AwaitedNode {
  /** Closed at the end. */
  readonly client: Client;
  readonly nodeName: string;
  /** Where to look when it does not come. */
  readonly log: string;
  readonly world: World;
  readonly sinceMs: number;
  /** Waiting has no more sense; its reason is why. */
  readonly ended?: AbortSignal;
}

/** Rejects with {@link ClusterError} when a minute was not enough, and with what the API server said when it cannot be asked. */
export async function untilNodeReady({ client, nodeName, log, world, sinceMs, ended }: AwaitedNode): Promise<void> {
  const deadline = new AbortController();
  const giveUp = (): void => deadline.abort();
  ended?.addEventListener('abort', giveUp, { once: true });
  const timer = world.clock.after(nodeReadyMs, giveUp);
  try {
    const nodes = client.resource(Node);
    const known = await nodes.get(nodeName).catch((error: unknown) => {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    });
    if (known && isReadySince(known, sinceMs)) return;
    for await (const event of nodes.watch({ fieldSelector: `metadata.name=${nodeName}`, signal: deadline.signal })) {
      if (event.type !== 'BOOKMARK' && isReadySince(event.object, sinceMs)) return;
    }
  } catch (error) {
    if (!deadline.signal.aborted) throw error;
  } finally {
    timer.cancel();
    ended?.removeEventListener('abort', giveUp);
    client.transport.close();
  }
  ended?.throwIfAborted();
  throw new ClusterError(`node ${nodeName} is not Ready after ${nodeReadyMs / 1000} s: see ${log}`);
}

/** Why the API server stopped answering, when it is because a process ended. */
function endedMeanwhile({ dataDir }: ClusterConfig): ClusterError | undefined {
  const ended = (['control-plane', 'node-agent'] as const).find((name) => runningDaemon(dataDir, name) === undefined);
  return ended && new ClusterError(`${ended} ended unexpectedly; its log is ${join(layoutOf(dataDir).logs, `${ended}.log`)}`);
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
