/** An API server in memory with the controllers at work on it, on a simulated clock, and a kubelet that only pretends. */
import type { Kind } from '../../src/api/kind.ts';
import { type Node, Pod } from '../../src/api/kinds.ts';
import type { Client } from '../../src/client/client.ts';
import type { Informers } from '../../src/client/informer.ts';
import { createInformers } from '../../src/client/informers.ts';
import type { Transport } from '../../src/client/transport.ts';
import { Parts } from '../../src/cluster/in-process/parts.ts';
import type { ControllerOptions } from '../../src/controllers/controller.ts';
import { isReason } from '../../src/machinery/errors.ts';
import type { Draft, KubeObject } from '../../src/machinery/object.ts';
import { type SimulatedWorld, simulatedWorld } from '../../src/world/simulated.ts';
import { timestamp } from '../../src/world/world.ts';

export interface ControlPlane {
  readonly world: SimulatedWorld;
  readonly admin: Client;
  readonly informers: Informers;
  /** Somebody else's line to the API server. */
  clientAs(user: string, groups?: readonly string[]): Client;
  /** Log lines of level warn and error. */
  readonly complaints: readonly string[];
  create<T extends KubeObject>(kind: Kind<T>, draft: Draft<T>): Promise<T>;
  get<T extends KubeObject>(kind: Kind<T>, name: string, namespace?: string): Promise<T>;
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): Promise<readonly T[]>;
  /** Lets the controllers work until `done` holds; timers fire as needed. */
  until(what: string, done: () => Promise<boolean>, limitMs?: number): Promise<void>;
  /** Lets everything that is under way finish, without moving the clock by more than `ms`. */
  settle(ms?: number): Promise<void>;
  /** Ends the controllers wherever they are, and starts others that know nothing of what these were doing. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface ControlPlaneOptions {
  readonly controllers?: string;
  /** Pods are bound to this node (or what it answers), become ready at once, and end at once when deleted. */
  readonly node?: string | ((pod: Pod) => string | undefined);
  readonly ready?: (pod: Pod) => boolean;
  readonly options?: Partial<ControllerOptions>;
  /** The controllers' caches lag behind by so much. */
  readonly lagMs?: number;
  /** Stands between the controllers and the server. */
  readonly decorate?: (transport: Transport) => Transport;
}

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const complaints: string[] = [];
  const world = simulatedWorld(1, {
    onLog(level, component, message, fields) {
      if (level === 'warn' || level === 'error') complaints.push(`${component}: ${message} ${JSON.stringify(fields)}`);
    },
  });
  const { lagMs, controllers, decorate } = options;
  const parts = new Parts(world, {
    nodes: 0,
    scheduler: false,
    // Of nodes that are only pretended nobody knows what they use.
    metrics: false,
    storage: false,
    freeze: true,
    ...(controllers !== undefined && { controllers }),
    controllerOptions: { clusterCidrs: ['10.244.0.0/16'], rootCa: 'the CA', ...options.options },
    ...(decorate && { decorate }),
    ...(lagMs !== undefined && { decorate: (transport: Transport) => late(transport, world, lagMs) }),
  });
  const admin = parts.clientAs('admin', ['system:masters']);
  const started = parts.start();
  async function settle(ms = 0): Promise<void> {
    for (let i = 0; i < 20; i++) await world.advance(0);
    if (ms > 0) {
      await world.advance(ms);
      for (let i = 0; i < 20; i++) await world.advance(0);
    }
  }
  await settle();
  const informers = createInformers(admin, world, { freeze: true });
  const stopKubelet =
    options.node === undefined ? () => undefined : pretendKubelet(admin, informers, world, options.node, options.ready ?? (() => true));
  await settle();
  await started;

  return {
    world,
    admin,
    informers,
    clientAs: (user, groups) => parts.clientAs(user, groups),
    complaints,
    create: (kind, draft) => admin.resource(kind).create(draft),
    get: (kind, name, namespace = 'default') => (kind.namespaced ? admin.resource(kind).namespace(namespace) : admin.resource(kind)).get(name),
    list: async (kind, namespace = 'default') =>
      (await (kind.namespaced ? admin.resource(kind).namespace(namespace) : admin.resource(kind)).list()).items,
    async until(what, done, limitMs = 60_000) {
      const endMs = world.clock.now() + limitMs;
      await settle();
      while (!(await done())) {
        if (world.clock.now() >= endMs)
          throw new Error(`after ${limitMs} ms of virtual time still not: ${what}\n${complaints.slice(-10).join('\n')}`);
        await settle(50);
      }
    },
    settle,
    async restart() {
      await parts.controllerManager.close();
      parts.controllerManager.start();
      await settle();
    },
    async close() {
      stopKubelet();
      informers.close();
      await parts.close();
    },
  };
}

/** The same transport, hearing of every change only after a while. */
function late(transport: Transport, world: SimulatedWorld, lagMs: number): Transport {
  return {
    ...transport,
    request: (request) => transport.request(request),
    async *watch(request) {
      for await (const event of transport.watch(request)) {
        await world.clock.sleep(lagMs, request.signal);
        yield event;
      }
    },
    close: () => transport.close(),
  };
}

export async function notFound(read: Promise<unknown>): Promise<boolean> {
  try {
    await read;
    return false;
  } catch (error) {
    if (isReason(error, 'NotFound')) return true;
    throw error;
  }
}

export function readyNode(name: string, world: SimulatedWorld): Draft<Node> {
  const now = timestamp(world.clock.now());
  return {
    metadata: { name },
    spec: {},
    status: { conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: '', lastHeartbeatTime: now, lastTransitionTime: now }] },
  };
}

function pretendKubelet(
  client: Client,
  informers: Informers,
  world: SimulatedWorld,
  node: string | ((pod: Pod) => string | undefined),
  ready: (pod: Pod) => boolean,
): () => void {
  let lastAddress = 0;
  const addresses = new Map<string, string>();
  const ignore = (error: unknown): void => {
    if (!isReason(error, 'NotFound', 'Conflict')) throw error;
  };
  async function run(pod: Pod): Promise<void> {
    const pods = client.resource(Pod).namespace(pod.metadata.namespace);
    if (pod.metadata.deletionTimestamp !== undefined) {
      // Whoever holds the pod wants to see how it ended.
      if (pod.metadata.finalizers && pod.status.phase === 'Running')
        await pods.patch(pod.metadata.name, { status: { phase: 'Failed' } }, { subresource: 'status' });
      if (pod.spec.nodeName) await pods.delete(pod.metadata.name, { gracePeriodSeconds: 0 });
      return;
    }
    if (!pod.spec.nodeName) {
      const name = typeof node === 'string' ? node : node(pod);
      if (name === undefined) return;
      await pods.createSubresource(pod.metadata.name, 'binding', {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name: pod.metadata.name },
        target: { apiVersion: 'v1', kind: 'Node', name },
      });
      return;
    }
    if (pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') return;
    const status = ready(pod) ? 'True' : 'False';
    const condition = pod.status.conditions?.find(({ type }) => type === 'Ready');
    if (condition?.status === status && pod.status.phase === 'Running') return;
    const podIP = addresses.get(pod.metadata.uid) ?? `10.244.0.${++lastAddress}`;
    addresses.set(pod.metadata.uid, podIP);
    const now = timestamp(world.clock.now());
    const conditions = [{ type: 'Ready', status, lastTransitionTime: now }];
    await pods.patch(
      pod.metadata.name,
      { status: { phase: 'Running', startTime: pod.status.startTime ?? now, podIP, podIPs: [{ ip: podIP }], conditions } },
      { type: 'strategic', subresource: 'status' },
    );
  }
  return informers.of(Pod).subscribe({
    added: (pod) => void run(pod).catch(ignore),
    updated: (pod) => void run(pod).catch(ignore),
  });
}
