/** Writes where Ingresses can be reached into their status. One of the nodes that serve does it for all: the one that holds the Lease. */
import { EndpointSlice, Ingress, type IngressClass, Node } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import type { Informer, Informers } from '../client/informer.ts';
import { type LeaderElection, startLeaderElection } from '../client/leader-election.ts';
import { isReason } from '../machinery/errors.ts';
import type { Timer, World } from '../world/world.ts';
import { ingressNamespace, ingressServiceName } from './names.ts';
import { servedIngresses } from './routes.ts';
import { pointsOf, saysSo, slicesOfNobody } from './serving-slice.ts';

export interface StatusWriterOptions {
  readonly world: World;
  readonly client: Client;
  readonly informers: Informers;
  readonly ingresses: Informer<Ingress>;
  readonly classes: Informer<IngressClass>;
  readonly nodeName: string;
}

const retryMs = 2_000;

/** Answers how to stop. */
export function startStatusWriter({ world, client, informers, ingresses, classes, nodeName }: StatusWriterOptions): () => Promise<void> {
  const election: LeaderElection = startLeaderElection(client, world, {
    name: ingressServiceName,
    namespace: ingressNamespace,
    identity: nodeName,
    onLeading: lead,
  });

  function lead(signal: AbortSignal): void {
    const slices = informers.of(EndpointSlice, { namespace: ingressNamespace, labelSelector: `kubernetes.io/service-name=${ingressServiceName}` });
    const nodes = informers.of(Node);
    let timer: Timer | undefined;
    let [writing, again] = [false, false];

    const write = async (): Promise<void> => {
      await Promise.all([slices.synced, nodes.synced, ingresses.synced, classes.synced]);
      const points = pointsOf(slices.list(), nodes.list());
      for (const slice of slicesOfNobody(slices.list(), nodes.list())) await forget(slice.metadata.name);
      for (const ingress of servedIngresses(ingresses.list(), classes.list())) {
        if (signal.aborted) return;
        if (!saysSo(ingress, points)) await writeOne(ingress, points);
      }
    };
    const writeOne = async ({ metadata: { namespace, name } }: Ingress, points: ReturnType<typeof pointsOf>): Promise<void> => {
      try {
        const status = { status: { loadBalancer: { ingress: points } } };
        await client.resource(Ingress).namespace(namespace).patch(name, status, { type: 'merge', subresource: 'status', signal });
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    };
    const forget = async (name: string): Promise<void> => {
      try {
        await client.resource(EndpointSlice).namespace(ingressNamespace).delete(name, { signal });
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    };
    const wake = (): void => {
      if (signal.aborted) return;
      if (writing) {
        again = true;
        return;
      }
      [writing, again] = [true, false];
      timer?.cancel();
      write()
        .catch((error: unknown) => {
          if (signal.aborted) return;
          world.log.child('ingress').warn('statuses could not be written', { error: error instanceof Error ? error.message : String(error) });
          timer = world.clock.after(retryMs, wake);
        })
        .finally(() => {
          writing = false;
          if (again) wake();
        });
    };
    const handler = { added: wake, updated: wake, deleted: wake };
    // A node's heartbeat is no news.
    const ofNodes = { ...handler, updated: (node: Node, old: Node) => (readyOf(node) === readyOf(old) ? undefined : wake()) };
    const stops = [slices.subscribe(handler), nodes.subscribe(ofNodes), ingresses.subscribe(handler), classes.subscribe(handler)];
    signal.addEventListener(
      'abort',
      () => {
        timer?.cancel();
        for (const stop of stops) stop();
      },
      { once: true },
    );
    wake();
  }

  return () => election.close();
}

function readyOf({ status }: Node): string | undefined {
  return status.conditions?.find(({ type }) => type === 'Ready')?.status;
}
