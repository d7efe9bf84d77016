/**
 * `startCluster`: store, API server, controllers, scheduler and simulated nodes in the calling process. Every component is a process of its own in all but
 * memory: it has an identity, is authorized and admitted, and can be killed and started.
 */
import type { Transport } from '../../client/transport.ts';
import { parseDuration } from '../../machinery/duration.ts';
import { simulatedWorld, type SimulatedWorld } from '../../world/simulated.ts';
import { silentLog, systemClock, systemRandom, tellingLog } from '../../world/system.ts';
import type { Cluster, ClusterOptions, Duration, SettleOptions, UntilOptions, VirtualCluster, VirtualClusterOptions } from './cluster.ts';
import { FaultInjector } from './faults/injector.ts';
import { badDay } from './faults/rates.ts';
import { applyManifests } from './manifests.ts';
import { Parts } from './parts.ts';
import type { Snapshot } from './snapshot.ts';
import { restOf } from './rest.ts';
import { untilReal, untilVirtual } from './until.ts';

const defaultTimeoutMs = 30_000;
const defaultQuietMs = 10_000;
const defaultSettleMs = 3_600_000;

export function startCluster(options: VirtualClusterOptions): Promise<VirtualCluster>;
export function startCluster(options?: ClusterOptions): Promise<Cluster>;
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  return isVirtual(options) ? startVirtual(options, undefined) : startReal(options, undefined);
}

function isVirtual(options: ClusterOptions): options is VirtualClusterOptions {
  return options.clock === 'virtual';
}

async function startReal(options: ClusterOptions, from: Snapshot | undefined): Promise<Cluster> {
  const log = options.onLog === undefined ? silentLog : tellingLog(options.onLog);
  const parts = new Parts({ clock: systemClock, random: systemRandom, log }, options);
  await begin(parts, () => awaited(parts.start(from)));
  const shared = common(parts, options);
  return {
    ...shared,
    // Without a getter of its own the address would be that of this moment.
    get url() {
      return parts.server.url();
    },
    apply: (manifests, apply) => awaited(shared.apply(manifests, apply)),
    addNodes: (count, shape) => awaited(shared.addNodes(count, shape)),
    startNode: (name) => awaited(shared.startNode(name)),
    close: () => awaited(shared.close()),
    until: (condition, wait = {}) => untilReal(parts, condition, waitOf(wait)),
    restore: (snapshot) => awaited(parts.restore(snapshot)),
    fork: async () => startReal(forked(options), await parts.snapshot()),
  };
}

async function startVirtual(options: VirtualClusterOptions, from: Snapshot | undefined): Promise<VirtualCluster> {
  const world = simulatedWorld(options.seed ?? 1, {
    ...(options.startTime && { startMs: options.startTime.getTime() }),
    ...(options.onLog && { onLog: options.onLog }),
  });
  if (from?.moment) world.resume(from.moment);
  const faults = options.faults === undefined ? undefined : new FaultInjector(world, { ...badDay, ...options.faults });
  const faulty = faults && {
    decorate: (transport: Transport, process: string): Transport => faults.decorate(transport, process),
    skewMs: () => faults.skewMs(),
    ownCaches: true,
  };
  const parts = new Parts(world, { ...options, ...faulty }, () => world.moment());
  // What takes real time is not driven: virtual time would run away meanwhile.
  const start = async (snapshot: Snapshot | undefined): Promise<void> => {
    await parts.open(snapshot);
    await driven(world, parts.run(snapshot));
    await parts.serving();
  };
  await begin(parts, () => start(from));
  faults?.begin(parts);
  return {
    ...common(parts, options),
    get url() {
      return parts.server.url();
    },
    addNodes: (count, shape = {}) => driven(world, parts.nodes.addNodes(count, shape)),
    startNode: (name) => driven(world, parts.nodes.startNode(name)),
    until: (condition, wait = {}) => untilVirtual(world, condition, waitOf(wait)),
    advance: (duration) => world.advance(msOf(duration)),
    settle: (settle: SettleOptions = {}) => restOf(parts, world, msOf(settle.quiet ?? defaultQuietMs), msOf(settle.timeout ?? defaultSettleMs)),
    faults: () => faults?.said ?? [],
    stopFaults: () => driven(world, faults?.stop() ?? Promise.resolve()),
    async close() {
      await driven(world, faults?.stop() ?? Promise.resolve());
      await driven(world, parts.halt());
      await parts.close();
    },
    async snapshot() {
      await world.settle();
      return parts.snapshot();
    },
    async restore(snapshot) {
      await driven(world, parts.halt());
      await parts.shut();
      if (snapshot.moment) world.resume(snapshot.moment);
      await start(snapshot);
    },
    async fork() {
      await world.settle();
      return startVirtual(forked(options), await parts.snapshot());
    },
  };
}

type Common = Omit<Cluster, 'until' | 'restore' | 'fork'>;

function common(parts: Parts, options: ClusterOptions): Common {
  const client = parts.clientAs('kubernetes-admin', ['system:masters']);
  const makesServiceAccounts = options.controllers === undefined || parts.runsController('serviceaccount-controller');
  return {
    client,
    clientAs: (user, groups = []) => parts.clientAs(user, groups),
    now: () => new Date(parts.world.clock.now()),
    get url() {
      return parts.server.url();
    },
    kubeconfig: () => parts.server.kubeconfig(),
    apply: (manifests, apply) => applyManifests({ client, makesServiceAccounts }, manifests, apply),
    addNodes: (count, shape = {}) => parts.nodes.addNodes(count, shape),
    running: () => parts.nodes.running(),
    stopNode: (name) => parts.nodes.stopNode(name),
    startNode: (name) => parts.nodes.startNode(name),
    snapshot: () => parts.snapshot(),
    close: () => parts.close(),
  };
}

/** A cluster that did not come up leaves nothing behind either. */
async function begin(parts: Parts, start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    await parts.close();
    throw error;
  }
}

/** Two clusters cannot have one port. */
function forked<O extends ClusterOptions>(options: O): O {
  return options.port === undefined ? options : { ...options, port: 0 };
}

/** A process ends when all that is left to it is waiting; it must not while somebody waits for the cluster, whose alarms do not keep it alive. */
async function awaited<T>(work: Promise<T>): Promise<T> {
  const done = new AbortController();
  void systemClock.sleep(2 ** 31 - 1, done.signal).catch(() => undefined);
  try {
    return await work;
  } finally {
    done.abort(done);
  }
}

/** Lets time pass until the work is done. */
async function driven<T>(world: SimulatedWorld, work: Promise<T>): Promise<T> {
  let over = false;
  const done = work.finally(() => (over = true));
  done.catch(() => undefined);
  await world.advanceUntil(() => over);
  return done;
}

function waitOf({ what, timeout }: UntilOptions): { readonly what: string; readonly timeoutMs: number } {
  return { what: what ?? 'what was waited for', timeoutMs: timeout === undefined ? defaultTimeoutMs : msOf(timeout) };
}

function msOf(duration: Duration): number {
  const ms = typeof duration === 'number' ? duration : parseDuration(duration);
  if (!(ms >= 0)) throw new RangeError(`a duration cannot be ${duration}`);
  return ms;
}
