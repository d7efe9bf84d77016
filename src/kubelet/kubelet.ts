/**
 * The kubelet: registers its node, watches the pods bound to it and runs them in a container runtime. One worker looks after each pod; what the workers
 * share is put together here. A restarted kubelet finds everything again in the runtime and touches no container.
 * See https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Node, Pod, Service } from '../api/node-kinds.ts';
import { createEventRecorder } from '../client/events.ts';
import type { Timer } from '../world/world.ts';
import { realCgroups } from './cgroups.ts';
import { onClockJump } from './clock-jumps.ts';
import { type KubeletSettings, defaultSettings, reservedOf } from './configuration/settings.ts';
import { createContext } from './context.ts';
import { declaredFeatures } from './declared-features.ts';
import { realGauge } from './eviction/gauge.ts';
import { messageOf } from './handler.ts';
import { realHost } from './host.ts';
import type { KubeletOptions } from './kubelet-options.ts';
import { keepLogsSmall } from './log-rotation.ts';
import { type NodeAgent, createNodeAgent } from './node-agent.ts';
import { createNodeCpus } from './node-cpus.ts';
import { createNodeRoom } from './node-room.ts';
import { createObservedPods } from './observed-pods.ts';
import { cleanOrphans } from './orphans.ts';
import { PodWorkers } from './pod-workers.ts';
import { admitSecurity, type NodeAbilities } from './security-admission.ts';
import { servedPods } from './served-pods.ts';
import type { ServedPods } from './server/served-pods.ts';
import { shutDownPods, shutdownRefusal } from './shutdown.ts';
import { isStaticPod } from './static-pods/manifest.ts';
import type { Manifests } from './static-pods/manifest-directory.ts';
import { createStaticPods } from './static-pods/static-pods.ts';
import { KubeletCounters } from './stats/kubelet-counters.ts';
import type { StatsSubject } from './stats/node-stats.ts';
import { watchPodStarts } from './stats/pod-starts.ts';
import { createStatusWriter } from './status-writer.ts';
import { createCsiVolumes } from './volumes/csi/csi-volumes.ts';
import { noDrivers, watchDrivers } from './volumes/csi/drivers.ts';
import { createWatchedObjects } from './watched-objects.ts';

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
  const abilities = (): NodeAbilities => ({
    allowedUnsafeSysctls: settings.allowedUnsafeSysctls,
    hasAppArmor: facts.appArmor,
    strictGroups: agent.runtimeStatus()?.supplementalGroupsPolicy === true,
  });
  let shuttingDown = false;
  let runtimeName = 'containerd';
  const closed = new AbortController();

  const pods = informers.of(Pod, { fieldSelector: `spec.nodeName=${nodeName}` });
  const services = informers.of(Service);
  const nodes = informers.of(Node, { fieldSelector: `metadata.name=${nodeName}` });
  const recorder = createEventRecorder(client, world, { component: 'kubelet', host: nodeName });
  const statuses = createStatusWriter(client, world);
  const watched = createWatchedObjects(client, world);
  const nodeReference = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };

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
    declaredFeatures: declaredFeatures(settings.placement),
    labels: options.labels ?? {},
    taints: options.taints ?? [],
    onNetworkChange: () => workers.wakeAll(),
  });
  const drivers = host.disk.keeps
    ? watchDrivers({ world, client, nodeName, rootDir, registered: agent.registered, onChange: () => workers.retryVolumes() })
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
    begin: (pod) => workers.begin(pod),
    end: (pod) => workers.get(pod.metadata.uid)?.update(pod),
    onMirror: (uid) => workers.get(uid)?.wake(),
  });
  const context = createContext({
    options,
    settings,
    host,
    observed,
    statuses,
    watched,
    counters,
    csi,
    recorder,
    services,
    runtimeName: () => runtimeName,
    placement: () => nodeCpus.placement(),
    node: () => agent.node(),
    networkReady: () => agent.networkReady(),
    runtimeStatus: () => agent.runtimeStatus(),
    apiPod: (pod) => (isStaticPod(pod) ? statics.mirrorOf(pod) : pod),
  });
  const workers: PodWorkers = new PodWorkers({
    context,
    pods,
    statics,
    refusal: (pod) => (shuttingDown ? shutdownRefusal : undefined) ?? room.refusal(pod) ?? admitSecurity(pod, abilities()),
    onShares: () => nodeCpus.podsChanged(),
  });
  const nodeCpus = createNodeCpus({ context, settings, facts, workers: workers.byUid });
  const room = createNodeRoom({
    context,
    settings,
    gauge:
      options.gauge ??
      (host.disk.keeps ? realGauge({ runtime, rootDir, logRoot, memoryBytes: facts.memoryBytes, cgroups: host.cgroups }) : undefined),
    workers: workers.byUid,
    tell: (reason, message) => recorder.event(nodeReference, 'Warning', reason, message),
    onConditions: () => agent.refresh(),
  });

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
    workers.follow();
    const clean = (): void => {
      nodeCpus.placement()?.keepOnly(workers.byUid);
      cleanOrphans(context, workers.byUid).catch((error: unknown) => log.warn('cleaning up orphans failed', { error: messageOf(error) }));
    };
    clean();
    void keepLogsSmall(context, closed.signal, { maxBytes: settings.containerLogMaxBytes, maxFiles: settings.containerLogMaxFiles });
    const clockJumped = (byMs: number): void => {
      log.warn('the clock was set', { byMs });
      workers.clockJumped();
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
    pods: servedPods(workers.byUid, observed),
    stats: {
      host,
      counters,
      places:
        options.host === undefined
          ? {
              cgroupOf: (pod) => host.cgroups.parentOf(pod),
              podsCgroup: host.cgroups.root,
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
        pods: () => workers.counted(),
        graceMs,
        criticalMs,
        onEnd: (callback) => workers.onRoom(callback),
      });
      await statuses.flushAll();
    },
    close() {
      closed.abort(new Error('the kubelet was closed'));
      stopCounting?.();
      for (const chore of chores) chore.cancel();
      statics.close();
      room.close();
      nodeCpus.close();
      workers.close();
      agent.close();
      drivers.close();
      observed.close();
      watched.close();
      statuses.close();
      recorder.close();
    },
  };
}
