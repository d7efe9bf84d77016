/**
 * The kubelet: registers its node, watches the pods bound to it and runs them in a container runtime. One worker looks after each pod; what the workers
 * share is put together here. A restarted kubelet finds everything again in the runtime and touches no container.
 * See https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Node, Pod, RuntimeClass, Secret, Service } from '../api/kinds.ts';
import type { V1Taint } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder } from '../client/events.ts';
import type { Informers } from '../client/informer.ts';
import { isReason } from '../machinery/errors.ts';
import type { Timer, World } from '../world/world.ts';
import { realCgroups } from './cgroups.ts';
import type { KubeletContext } from './context.ts';
import { messageOf } from './handler.ts';
import { type Host, realHost } from './host.ts';
import { createImages } from './images.ts';
import { rotateLogs } from './log-rotation.ts';
import { type NodeAgent, createNodeAgent } from './node-agent.ts';
import { createObservedPods } from './observed-pods.ts';
import { cleanOrphans } from './orphans.ts';
import { type PodWorker, createPodWorker } from './pod-worker.ts';
import { realProbeNetwork } from './probe-network.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';
import { sandboxConfigFor } from './sandboxes.ts';
import { servedPods } from './served-pods.ts';
import type { ServedPods } from './server/served-pods.ts';
import { createStatusWriter } from './status-writer.ts';
import { createWatchedObjects } from './watched-objects.ts';

export interface KubeletOptions {
  readonly world: World;
  /** With the node's own identity. */
  readonly client: Client;
  readonly informers: Informers;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  /** What the machine calls itself; the node's name when absent. */
  readonly hostname?: string;
  /** The first is primary. */
  readonly nodeIps: readonly string[];
  /** Pods' volumes and files live below it, in `pods/<uid>`. Made when missing. */
  readonly rootDir: string;
  /** Containers' logs live below it. `/var/log/pods` upstream; `<rootDir>/../pod-logs` is not assumed. */
  readonly logRoot: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly podPidsLimit?: number;
  readonly maxPods?: number;
  /** Where the kubelet's own server listens: goes into the Node's `daemonEndpoints`. */
  readonly serverPort: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly V1Taint[];
  /** Path of this cluster's cgroups below the mountpoint; `/` as upstream when absent. */
  readonly cgroupPrefix?: string;
  /** Kept back from pods. Upstream's eviction threshold keeps 100 MiB. */
  readonly reserved?: { readonly cpuMillis: number; readonly memoryBytes: number };
  /** The machine; the real one when absent. `simulatedHost()` goes with a simulated runtime. */
  readonly host?: Host;
  /** Whether pods' events that say that all is well are written, too; true when absent. */
  readonly normalEvents?: boolean;
  /** How often the runtime is listed as a safety net; 10 s when absent. */
  readonly relistMs?: number;
}

export interface Kubelet {
  readonly pods: ServedPods;
  /** The Node as this kubelet knows it; undefined before it is registered. */
  node(): Node | undefined;
  /** Resolves when the runtime was listed and the first pods are known. */
  readonly started: Promise<void>;
  /** Stops looking after pods; containers keep running. */
  close(): void;
}

const orphansEveryMs = 60_000;
const rotationEveryMs = 10_000;
const retryMs = 500;

export function createKubelet(options: KubeletOptions): Kubelet {
  const { world, client, informers, runtime, nodeName, nodeIps, rootDir, logRoot } = options;
  const log = world.log.child('kubelet');
  const host =
    options.host ??
    realHost(
      rootDir,
      realCgroups({
        log,
        ...(options.cgroupPrefix !== undefined && { prefix: options.cgroupPrefix }),
        ...(options.podPidsLimit !== undefined && { podPidsLimit: options.podPidsLimit }),
      }),
    );
  // A simulated machine has no disk.
  if (options.host === undefined) mkdirSync(rootDir, { recursive: true });
  const facts = host.facts();
  const closed = new AbortController();
  const workers = new Map<string, PodWorker>();
  /** Uids of pods that are through here, while the informer still shows them. */
  const gone = new Set<string>();

  const pods = informers.of(Pod, { fieldSelector: `spec.nodeName=${nodeName}` });
  const services = informers.of(Service);
  const nodes = informers.of(Node, { fieldSelector: `metadata.name=${nodeName}` });
  const recorder = createEventRecorder(client, world, { component: 'kubelet', host: nodeName });
  const statuses = createStatusWriter(client, world);
  const watched = createWatchedObjects(client, world);
  const wakeAll = (): void => {
    for (const worker of workers.values()) worker.wake();
  };
  const agent: NodeAgent = createNodeAgent({
    world,
    client,
    nodes,
    runtime,
    host,
    nodeName,
    hostname: options.hostname ?? nodeName,
    nodeIps,
    maxPods: options.maxPods ?? 110,
    serverPort: options.serverPort,
    reserved: options.reserved ?? { cpuMillis: 0, memoryBytes: 100 * 2 ** 20 },
    labels: options.labels ?? {},
    taints: options.taints ?? [],
    onNetworkChange: wakeAll,
  });
  const observed = createObservedPods({
    world,
    runtime,
    ...(options.relistMs !== undefined && { relistMs: options.relistMs }),
    onChange: (uid) => workers.get(uid)?.wake(),
  });

  let runtimeName = 'containerd';
  const context: KubeletContext = {
    world,
    client,
    runtime,
    get runtimeName() {
      return runtimeName;
    },
    network: runtime.probeNetwork ?? realProbeNetwork(world.clock),
    host,
    observed,
    images: createImages({ world, runtime, secret: readSecret }),
    statuses,
    watched,
    nodeName,
    nodeIps,
    rootDir,
    logRoot,
    seccompRoot: join(rootDir, 'seccomp'),
    memoryBytes: facts.memoryBytes,
    dns: { clusterDns: options.clusterDns, clusterDomain: options.clusterDomain, host: facts.dns },
    nodeHosts: facts.hostsFile,
    node: () => agent.node(),
    networkReady: () => agent.networkReady(),
    services: (namespace) => services.list(namespace),
    masterService: () => services.get('kubernetes', 'default'),
    runtimeHandler,
    tell(pod, type, reason, message, container) {
      if (type === 'Normal' && options.normalEvents === false) return;
      recorder.event(pod, type, reason, message, container === undefined ? undefined : fieldPathOf(pod, container));
    },
    sandboxConfigOf: (pod, attempt) => sandboxConfigFor(context, pod, attempt),
  };

  async function readSecret(namespace: string, name: string): Promise<Secret | undefined> {
    try {
      return await client.resource(Secret).namespace(namespace).get(name);
    } catch (error) {
      if (isReason(error, 'NotFound', 'Forbidden')) return undefined;
      throw error;
    }
  }

  async function runtimeHandler(pod: Pod): Promise<string> {
    const { runtimeClassName } = pod.spec;
    if (runtimeClassName === undefined || runtimeClassName === '') return '';
    return (await client.resource(RuntimeClass).get(runtimeClassName)).handler;
  }

  function begin(pod: Pod): void {
    const { uid } = pod.metadata;
    if (workers.has(uid) || gone.has(uid) || closed.signal.aborted) return;
    const worker = createPodWorker({
      context,
      pod,
      others: () => [...workers.values()].filter((other) => other !== workers.get(uid) && other.counts()).map((other) => other.pod),
      onGone() {
        workers.delete(uid);
        if (pods.get(pod.metadata.name, pod.metadata.namespace)?.metadata.uid === uid) gone.add(uid);
      },
    });
    workers.set(uid, worker);
  }

  async function untilTrue(attempt: () => Promise<void>, what: string): Promise<void> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        log.warn(`${what} failed; trying again`, { error: messageOf(error) });
        await world.clock.sleep(retryMs, closed.signal);
      }
    }
  }

  let stopWatching: (() => void) | undefined;
  const chores: Timer[] = [];

  async function start(): Promise<void> {
    await host.disk.makeDir(join(rootDir, 'pods'), 0o750);
    // Every pod that runs here is known before the first decision is made about any.
    await Promise.all([
      untilTrue(() => observed.start(), 'listing the container runtime'),
      untilTrue(async () => void ({ runtimeName } = await runtime.version()), 'asking the container runtime for its version'),
      pods.synced,
      services.synced,
      agent.registered,
    ]);
    if (closed.signal.aborted) return;
    // Pods that run or ended already come first, so that they are counted when new ones are admitted.
    const known = [...pods.list()].sort((a, b) => Number(b.status.startTime !== undefined) - Number(a.status.startTime !== undefined));
    for (const pod of known) begin(pod);
    stopWatching = pods.subscribe({
      added: begin,
      updated(pod, old) {
        if (pod.metadata.uid !== old.metadata.uid) {
          gone.delete(old.metadata.uid);
          workers.get(old.metadata.uid)?.removed();
        }
        begin(pod);
        workers.get(pod.metadata.uid)?.update(pod);
      },
      deleted(pod) {
        gone.delete(pod.metadata.uid);
        workers.get(pod.metadata.uid)?.removed();
      },
    });
    const clean = (): void => {
      cleanOrphans(context, workers).catch((error: unknown) => log.warn('cleaning up orphans failed', { error: messageOf(error) }));
    };
    clean();
    let rotating = false;
    const rotate = (): void => {
      if (rotating) return;
      rotating = true;
      rotateLogs(context)
        .catch((error: unknown) => log.warn('rotating logs failed', { error: messageOf(error) }))
        .finally(() => (rotating = false));
    };
    chores.push(world.clock.every(orphansEveryMs, clean), world.clock.every(rotationEveryMs, rotate));
    recorder.event({ apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } }, 'Normal', 'Starting', 'Starting kubelet.');
  }

  const started = start().catch((error: unknown) => {
    if (!closed.signal.aborted) log.error('the kubelet could not start', { error: messageOf(error) });
  });

  return {
    pods: servedPods(workers, observed),
    node: () => agent.node(),
    started,
    close() {
      closed.abort(new Error('the kubelet was closed'));
      stopWatching?.();
      for (const chore of chores) chore.cancel();
      for (const worker of workers.values()) worker.close();
      workers.clear();
      agent.close();
      observed.close();
      watched.close();
      statuses.close();
      recorder.close();
    },
  };
}

/** `spec.containers{web}`. */
function fieldPathOf({ spec }: Pod, container: string): string {
  const list = spec.initContainers?.some(({ name }) => name === container)
    ? 'initContainers'
    : spec.ephemeralContainers?.some(({ name }) => name === container)
      ? 'ephemeralContainers'
      : 'containers';
  return `spec.${list}{${container}}`;
}
