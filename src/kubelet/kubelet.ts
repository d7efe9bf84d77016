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
import { onClockJump } from './clock-jumps.ts';
import type { KubeletContext } from './context.ts';
import { messageOf } from './handler.ts';
import { type Host, realHost } from './host.ts';
import { type KubeletSettings, type ReservedResources, defaultSettings, reservedOf } from './configuration/settings.ts';
import { type Gauge, realGauge } from './eviction/gauge.ts';
import { createImages } from './images.ts';
import { keepLogsSmall } from './log-rotation.ts';
import { type NodeAgent, createNodeAgent } from './node-agent.ts';
import { createNodeCpus } from './node-cpus.ts';
import { createNodeRoom } from './node-room.ts';
import { createObservedPods } from './observed-pods.ts';
import { cleanOrphans } from './orphans.ts';
import { type PodWorker, createPodWorker } from './pod-worker.ts';
import { realProbeNetwork } from './probe-network.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';
import { isMirrorPod } from './pod-spec.ts';
import { sandboxConfigFor } from './sandboxes.ts';
import { admitSecurity } from './security-admission.ts';
import { servedPods } from './served-pods.ts';
import type { ServedPods } from './server/served-pods.ts';
import { isStaticPod } from './static-pods/manifest.ts';
import type { Manifests } from './static-pods/manifest-directory.ts';
import { createStaticPods } from './static-pods/static-pods.ts';
import { shutDownPods, shutdownRefusal } from './shutdown.ts';
import { createStatusWriter } from './status-writer.ts';
import { KubeletCounters } from './stats/kubelet-counters.ts';
import type { StatsSubject } from './stats/node-stats.ts';
import { watchPodStarts } from './stats/pod-starts.ts';
import { createCsiVolumes } from './volumes/csi/csi-volumes.ts';
import { noDrivers, watchDrivers } from './volumes/csi/drivers.ts';
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
  /** Kept back from pods, when it is not to follow from the settings. */
  readonly reserved?: Partial<ReservedResources>;
  /** What differs from upstream's defaults. */
  readonly settings?: Partial<KubeletSettings>;
  /** The settings in force as `/configz` shows them. */
  readonly shownSettings?: Readonly<Record<string, unknown>>;
  /** Tells what the node has left; read from the machine when absent, and on a simulated one not at all. */
  readonly gauge?: Gauge;
  /** The machine; the real one when absent. `simulatedHost()` goes with a simulated runtime. */
  readonly host?: Host;
  /** Whether pods' events that say that all is well are written, too; true when absent. */
  readonly normalEvents?: boolean;
  /** Files with pods that run whatever the API says. */
  readonly manifests?: Manifests;
  /** Counts what the kubelet does; shared with whoever else counts into it. */
  readonly counters?: KubeletCounters;
  /** How often the runtime is listed as a safety net; 10 s when absent. */
  readonly relistMs?: number;
}

export interface Kubelet {
  readonly pods: ServedPods;
  /** Of what its server's pages about use tell. */
  readonly stats: StatsSubject;
  /** The Node as this kubelet knows it; undefined before it is registered. */
  node(): Node | undefined;
  /** Resolves when the runtime was listed and the first pods are known. */
  readonly started: Promise<void>;
  /** Where a shutdown grace period is set: says on the node that it goes, and ends its pods in that time. */
  shutDown(): Promise<void>;
  /** Stops looking after pods; containers keep running. */
  close(): void;
}

const orphansEveryMs = 60_000;
const retryMs = 500;
/** So long the pods of files wait to hear what the API last said of them. */
const apiPatienceMs = 2000;
const mostCredentialBytes = 2 ** 20;
const noManifests: Manifests = { read: async () => [], watch: () => () => {} };

export function createKubelet(options: KubeletOptions): Kubelet {
  const { world, client, informers, runtime, nodeName, nodeIps, rootDir, logRoot, counters = new KubeletCounters() } = options;
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
  const settings: KubeletSettings = { ...defaultSettings, ...options.settings };
  const kernel = { allowedUnsafeSysctls: settings.allowedUnsafeSysctls, hasAppArmor: facts.appArmor };
  let shuttingDown = false;
  /** Told when a pod has ended, or uses less. */
  const roomListeners = new Set<() => void>();
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
  function retryVolumes(): void {
    for (const worker of workers.values()) worker.retryVolumes();
  }
  /** Someone left room: resizes that waited for it are looked at again. */
  const wakeWaiting = (): void => {
    for (const worker of workers.values()) if (worker.waitsForRoom) worker.wake();
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
    maxPods: options.maxPods ?? settings.maxPods,
    serverPort: options.serverPort,
    reserved: { ...reservedOf(settings, facts), ...options.reserved },
    pressure: () => room.conditions(),
    shuttingDown: () => shuttingDown,
    volumesInUse: () => csi.inUse(),
    labels: options.labels ?? {},
    taints: options.taints ?? [],
    onNetworkChange: wakeAll,
  });
  const drivers = host.disk.keeps
    ? watchDrivers({ world, client, nodeName, rootDir, registered: agent.registered, onChange: retryVolumes })
    : noDrivers;
  const csi = createCsiVolumes({
    world,
    client,
    disk: host.disk,
    drivers,
    nodeName,
    rootDir,
    node: () => agent.node(),
    onUse: () => agent.refresh(),
  });
  const observed = createObservedPods({
    world,
    runtime,
    ...(options.relistMs !== undefined && { relistMs: options.relistMs }),
    onChange: (uid) => workers.get(uid)?.wake(),
  });

  const statics = createStaticPods({
    world,
    client,
    manifests: options.manifests ?? noManifests,
    nodeName,
    nodeUid: () => agent.node()?.metadata.uid,
    inApi: () => pods.list(),
    begin,
    end: (pod) => workers.get(pod.metadata.uid)?.update(pod),
    onMirror: (uid) => workers.get(uid)?.wake(),
  });

  const nodeReference = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };

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
    images: createImages({
      world,
      runtime,
      secret: readSecret,
      // Upstream's place for the node's own credentials, in Docker's format.
      nodeCredentials: async () => (await host.disk.readTail(join(rootDir, 'config.json'), mostCredentialBytes)) ?? '',
      maxParallelPulls: settings.serializeImagePulls ? 1 : settings.maxParallelImagePulls,
    }),
    get cpus() {
      return nodeCpus.manager();
    },
    seccompDefault: settings.seccompDefault,
    crashBackOffMaxMs: settings.crashBackOffMaxMs,
    statuses,
    watched,
    counters,
    csi,
    nodeName,
    nodeIps,
    rootDir,
    logRoot,
    seccompRoot: join(rootDir, 'seccomp'),
    memoryBytes: facts.memoryBytes,
    dns: { clusterDns: options.clusterDns, clusterDomain: options.clusterDomain, host: facts.dns },
    nodeHosts: facts.hostsFile,
    node: () => agent.node(),
    apiPod: (pod) => (isStaticPod(pod) ? statics.mirrorOf(pod) : pod),
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

  const nodeCpus = createNodeCpus({ context, settings, facts, workers });
  const room = createNodeRoom({
    context,
    settings,
    gauge:
      options.gauge ??
      (host.disk.keeps
        ? realGauge({ runtime, rootDir, logRoot, memoryBytes: facts.memoryBytes, cgroupOf: (pod) => host.cgroups.parentOf(pod) })
        : undefined),
    workers,
    tell: (reason, message) => recorder.event(nodeReference, 'Warning', reason, message),
    onConditions: () => agent.refresh(),
  });

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
    if (isMirrorPod(pod)) return statics.mirrorChanged(pod);
    if (workers.has(uid) || gone.has(uid) || closed.signal.aborted) return;
    const worker = createPodWorker({
      context,
      pod,
      refusal: (candidate) => (shuttingDown ? shutdownRefusal : undefined) ?? room.refusal(candidate) ?? admitSecurity(candidate, kernel),
      others: () => [...workers.values()].filter((other) => other !== workers.get(uid) && other.counts()).map((other) => other.granted),
      onRoom() {
        wakeWaiting();
        nodeCpus.podsChanged();
        for (const told of roomListeners) told();
      },
      onGone() {
        workers.delete(uid);
        counters.podGone(uid);
        if (pods.get(pod.metadata.name, pod.metadata.namespace)?.metadata.uid === uid) gone.add(uid);
        if (isStaticPod(pod)) statics.gone(pod);
        wakeWaiting();
      },
    });
    workers.set(uid, worker);
    nodeCpus.podsChanged();
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
    await nodeCpus.start();
    // Every pod that runs here is known before the first decision is made about any.
    await Promise.all([
      csi.recover(),
      untilTrue(() => observed.start(), 'listing the container runtime'),
      untilTrue(async () => void ({ runtimeName } = await runtime.version()), 'asking the container runtime for its version'),
    ]);
    if (options.manifests) await Promise.race([pods.synced, world.clock.sleep(apiPatienceMs, closed.signal)]);
    await statics.start();
    await Promise.all([pods.synced, services.synced, agent.registered]);
    if (closed.signal.aborted) return;
    statics.apiKnown();
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
        if (isMirrorPod(pod)) return statics.mirrorChanged(pod);
        gone.delete(pod.metadata.uid);
        workers.get(pod.metadata.uid)?.removed();
      },
    });
    const clean = (): void => {
      nodeCpus.manager()?.keepOnly(workers);
      cleanOrphans(context, workers).catch((error: unknown) => log.warn('cleaning up orphans failed', { error: messageOf(error) }));
    };
    clean();
    void keepLogsSmall(context, closed.signal, { maxBytes: settings.containerLogMaxBytes, maxFiles: settings.containerLogMaxFiles });
    const clockJumped = (byMs: number): void => {
      log.warn('the clock was set', { byMs });
      for (const worker of workers.values()) worker.clockJumped();
    };
    chores.push(world.clock.every(orphansEveryMs, clean), onClockJump(world.clock, clockJumped));
    recorder.event(nodeReference, 'Normal', 'Starting', 'Starting kubelet.');
    room.start();
  }

  const started = start().catch((error: unknown) => {
    if (!closed.signal.aborted) log.error('the kubelet could not start', { error: messageOf(error) });
  });

  // A process may have thousands of simulated nodes, whose starts say nothing.
  const stopCounting = options.host === undefined ? watchPodStarts(pods, counters, world.clock) : undefined;

  return {
    pods: servedPods(workers, observed),
    stats: {
      host,
      counters,
      places:
        options.host === undefined
          ? {
              cgroupOf: (pod) => host.cgroups.parentOf(pod),
              rootDir,
              logRoot,
              claimed: async (pod) => (await workers.get(pod.metadata.uid)?.claimedUsage()) ?? [],
            }
          : undefined,
    },
    node: () => agent.node(),
    started,
    async shutDown() {
      const { shutdownGraceMs: graceMs, shutdownCriticalMs: criticalMs } = settings;
      if (graceMs === 0 || shuttingDown || closed.signal.aborted) return;
      shuttingDown = true;
      agent.refresh();
      await shutDownPods({
        clock: world.clock,
        pods: () => [...workers.values()].filter((worker) => worker.counts()),
        graceMs,
        criticalMs,
        onEnd(callback) {
          roomListeners.add(callback);
          return () => void roomListeners.delete(callback);
        },
      });
      await statuses.flushAll();
    },
    close() {
      closed.abort(new Error('the kubelet was closed'));
      stopWatching?.();
      stopCounting?.();
      for (const chore of chores) chore.cancel();
      statics.close();
      room.close();
      nodeCpus.close();
      for (const worker of workers.values()) worker.close();
      workers.clear();
      agent.close();
      drivers.close();
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
