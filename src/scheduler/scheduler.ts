/**
 * The scheduler: keeps the snapshot current, takes pods from the queue, decides, and binds. Deciding is synchronous and pure (`schedule.ts`); only binding and
 * making room wait, and the pod counts on its node meanwhile, so the next decision need not.
 */
import { Pod } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Informers } from '../client/informer.ts';
import { isReason } from '../machinery/errors.ts';
import { keyOf } from '../machinery/object.ts';
import type { World } from '../world/world.ts';
import { bind, type BindingCycle, reserve, unreserve } from './binding-cycle.ts';
import { buildProfiles } from './build-profile.ts';
import { clusterObjects } from './cluster-objects.ts';
import { ClusterState } from './cluster-state.ts';
import { watchCluster } from './cluster-watch.ts';
import { defaultConfiguration, type SchedulerConfiguration } from './config/configuration.ts';
import { explain, type Explanation } from './explain.ts';
import { scheduleWithExtenders } from './extended-schedule.ts';
import { type AttemptResult, type SchedulerObserver, type Stopwatch, untimed } from './observer.ts';
import { hasNode, type PodInfo, podInfo } from './pod-info.ts';
import type { PluginDefinition } from './plugin.ts';
import { defaultPlugins } from './plugins.ts';
import type { Profile } from './profile.ts';
import { SchedulingQueue } from './queue.ts';
import { Reporter } from './reporter.ts';
import { type Decision, type Placed, type Refused, schedule } from './schedule.ts';
import { ChangeWaits, PermitWaits, RefusedLate } from './waiting.ts';

export interface SchedulerOptions {
  readonly world: World;
  readonly client: Client;
  readonly informers: Informers;
  readonly events: EventRecorder;
  /** One profile with upstream's defaults when absent. Pods whose `spec.schedulerName` has no profile are left alone. */
  readonly configuration?: SchedulerConfiguration;
  /** Plugins there are; those of {@link defaultPlugins} when absent. */
  readonly plugins?: readonly PluginDefinition[];
  /** Told of everything that happens. */
  readonly observer?: SchedulerObserver;
}

export interface Scheduler {
  /** Resolves when the cluster is known and the first pods were tried. */
  readonly ready: Promise<void>;
  /** What the scheduler thinks of a pod right now, node by node; undefined when there is no such pod, or it is another scheduler's. */
  explain(namespace: string, name: string): Explanation | undefined;
  /** How many pods wait where. */
  sizes(): Readonly<Record<'active' | 'backoff' | 'unschedulable' | 'in-flight', number>>;
  /** Of the unschedulable: how many may not even be tried. */
  gated(): number;
  close(): void;
}

/** Decisions made before bindings under way and other work get their turn. */
const decisionsPerTurn = 64;
/** Bindings under way at once: enough to fill a group commit, few enough not to starve others. */
const bindingsAtOnce = 256;
/** How long the API server may take to show a binding it took. */
const assumedForMs = 60_000;
const expireEveryMs = 30_000;

/** Throws a `ConfigurationError` for a configuration that makes no sense. */
export function startScheduler(options: SchedulerOptions): Scheduler {
  return new RunningScheduler(options);
}

/** Makes everything the configuration names, and lets it go. Throws a `ConfigurationError`. */
export function checkConfiguration(
  configuration: SchedulerConfiguration,
  { world, client, events }: Pick<SchedulerOptions, 'world' | 'client' | 'events'>,
): void {
  const { clock } = world;
  const shared = { world, client, events, snapshot: new ClusterState(), waiting: new PermitWaits(clock), changes: new ChangeWaits(clock) };
  buildProfiles(configuration, defaultPlugins, (schedulerName) => ({ ...shared, schedulerName }));
}

/** When an attempt began, and how its steps are timed. */
interface Attempt {
  readonly startMs: number;
  readonly stopwatch: Stopwatch;
}

class RunningScheduler implements Scheduler {
  readonly ready: Promise<void>;
  private readonly options: SchedulerOptions;
  private readonly state: ClusterState;
  private readonly queue: SchedulingQueue;
  private readonly profiles: ReadonlyMap<string, Profile>;
  private readonly changes: ChangeWaits;
  private readonly permits: PermitWaits;
  private readonly abort = new AbortController();
  private readonly stops: (() => void)[] = [];
  private readonly reporter: Reporter;
  private synced = false;
  private running = false;
  private binding = 0;
  /** Where the next search over nodes begins. */
  private start = 0;

  constructor(options: SchedulerOptions) {
    this.options = options;
    const { world, client, informers, events, configuration = defaultConfiguration, plugins = defaultPlugins } = options;
    const { clock } = world;
    this.state = new ClusterState(clusterObjects((kind) => informers.of(kind)));
    this.changes = new ChangeWaits(clock);
    this.permits = new PermitWaits(clock);
    this.reporter = new Reporter(world, client, events, configuration.profiles);
    const shared = { world, client, snapshot: this.state, waiting: this.permits, changes: this.changes };
    const profiles = buildProfiles(configuration, plugins, (schedulerName) => ({
      ...shared,
      schedulerName,
      events: this.reporter.recorderOf(schedulerName),
    }));
    this.profiles = new Map(profiles.map((profile) => [profile.schedulerName, profile]));
    const compare = profiles[0]?.queueSort.compare;
    if (compare === undefined) throw new Error('a scheduler without profiles');
    this.queue = new SchedulingQueue({
      profileOf: (info) => this.profileOf(info.pod),
      compare,
      clock,
      onReady: () => this.wake(),
      initialBackoffMs: configuration.podInitialBackoffMs,
      maxBackoffMs: configuration.podMaxBackoffMs,
      ...(options.observer && { observer: options.observer }),
    });
    this.stops.push(
      watchCluster(informers, this.state, {
        happened: (event) => {
          this.queue.happened(event);
          this.changes.changed();
        },
        waiting: (pod, changed) => this.waiting(pod, changed),
        settled: (pod) => {
          const key = keyOf(pod);
          this.queue.remove(key);
          this.state.denominate(key);
          if (!hasNode(pod)) this.permits.reject(key, '', 'the pod is gone');
        },
      }),
    );
    const expiry = clock.every(expireEveryMs, () => this.expire());
    this.stops.push(() => expiry.cancel());
    this.ready = this.begin();
  }

  explain(namespace: string, name: string): Explanation | undefined {
    const pod = this.options.informers.of(Pod).get(name, namespace);
    const profile = pod && this.profileOf(pod);
    if (pod === undefined || profile === undefined) return undefined;
    const info = podInfo(pod);
    return explain(this.state, info, profile, hasNode(pod) ? undefined : this.queue.heldBecause(info));
  }

  sizes(): ReturnType<Scheduler['sizes']> {
    return this.queue.sizes();
  }

  gated(): number {
    return this.queue.gated();
  }

  close(): void {
    this.abort.abort(new Error('the scheduler was closed'));
    for (const stop of this.stops) stop();
    this.reporter.close();
    this.permits.close();
    this.queue.close();
  }

  private async begin(): Promise<void> {
    await this.options.informers.synced();
    this.synced = true;
    this.run();
  }

  private profileOf({ spec }: Pod): Profile | undefined {
    return this.profiles.get(spec.schedulerName ?? '');
  }

  // ---- pods that come in

  private waiting(pod: Pod, events: Parameters<SchedulingQueue['put']>[1]): void {
    const key = keyOf(pod);
    // One that was bound a moment ago is not taken in again because the cache is behind.
    if (this.profileOf(pod) === undefined || (this.state.isAssumed(key) && !this.queue.has(key))) return;
    const info = podInfo(pod);
    const nominated = pod.status.nominatedNodeName;
    if (nominated !== undefined && nominated !== '') this.state.nominate(info, nominated);
    this.queue.put(info, events);
    const held = this.queue.heldBecause(info);
    if (held?.plugin === 'SchedulingGates') {
      this.reporter.waits(info, { reason: 'SchedulingGated', message: 'Scheduling is blocked due to non-empty scheduling gates' });
    }
  }

  /** A binding the API server took and never showed: the pod is seen as it is there, and tried again if it has no node. */
  private expire(): void {
    for (const key of this.state.forgetExpired(this.options.world.clock.now())) {
      const [namespace = '', name = ''] = key.split('/');
      const pod = this.options.informers.of(Pod).get(name, namespace);
      if (pod && !pod.spec.nodeName && pod.metadata.deletionTimestamp === undefined) this.waiting(pod, []);
    }
  }

  // ---- the loop

  private wake(): void {
    if (!this.running && this.synced && !this.abort.signal.aborted) queueMicrotask(() => this.run());
  }

  private run(): void {
    if (this.running || !this.synced || this.abort.signal.aborted) return;
    this.running = true;
    let decisions = 0;
    let suspended = false;
    try {
      while (this.binding < bindingsAtOnce && decisions < decisionsPerTurn) {
        const info = this.queue.pop();
        if (!info) break;
        decisions++;
        suspended = this.try(info);
        if (suspended) break;
      }
    } finally {
      this.running = suspended;
    }
    if (decisions === decisionsPerTurn) this.options.world.clock.after(0, () => this.run());
  }

  /** Answers true when the decision waits on extenders: no other is made before it. */
  private try(info: PodInfo): boolean {
    const profile = this.profileOf(info.pod);
    if (profile === undefined) {
      this.queue.remove(info.key);
      return false;
    }
    const attempt = this.attemptBy(profile);
    const turn = { chance: this.options.world.random.next(), start: this.start, stopwatch: attempt.stopwatch };
    try {
      if (profile.extenders.some((extender) => extender.isInterestedIn(info))) {
        void this.tryWithExtenders(info, profile, turn, attempt);
        return true;
      }
      this.carryOut(info, profile, schedule(this.state, info, profile, turn), attempt);
    } catch (error) {
      this.failed(info, error, attempt);
    }
    return false;
  }

  private async tryWithExtenders(
    info: PodInfo,
    profile: Profile,
    turn: Parameters<typeof scheduleWithExtenders>[3],
    attempt: Attempt,
  ): Promise<void> {
    try {
      const decision = await scheduleWithExtenders(this.state, info, profile, turn);
      if (!this.abort.signal.aborted) this.carryOut(info, profile, decision, attempt);
    } catch (error) {
      this.failed(info, error, attempt);
    } finally {
      this.running = false;
      this.wake();
    }
  }

  private carryOut(info: PodInfo, profile: Profile, decision: Decision, attempt: Attempt): void {
    this.start = (this.start + decision.looked) % Math.max(1, this.state.nodes.length);
    if (decision.type === 'placed') {
      this.options.observer?.decided(this.options.world.clock.now() - attempt.startMs);
      this.place(info, profile, decision, attempt);
    } else {
      if (profile.postFilter.some(({ name }) => name === 'DefaultPreemption')) this.options.observer?.preempts();
      this.refuse(info, decision, attempt);
    }
  }

  // ---- what observers are told

  private attemptBy({ schedulerName }: Profile): Attempt {
    const { observer, world } = this.options;
    const { clock } = world;
    const startMs = clock.now();
    if (observer === undefined) return { startMs, stopwatch: untimed };
    return {
      startMs,
      stopwatch(point, succeeded, work) {
        const sinceMs = clock.now();
        const tell = (success: boolean): void => observer.ran(point, schedulerName, success, clock.now() - sinceMs);
        try {
          const result = work();
          if (result instanceof Promise) {
            result.then(
              () => tell(true),
              () => tell(false),
            );
          } else {
            tell(succeeded(result));
          }
          return result;
        } catch (error) {
          tell(false);
          throw error;
        }
      },
    };
  }

  private attempted(result: AttemptResult, { pod }: PodInfo, { startMs }: Attempt): void {
    this.options.observer?.attempted(result, pod.spec.schedulerName ?? '', this.options.world.clock.now() - startMs);
  }

  // ---- a node was found

  private place(info: PodInfo, profile: Profile, { nodeName }: Placed, attempt: Attempt): void {
    const cycle = { profile, pod: info, nodeName };
    try {
      attempt.stopwatch(
        'Reserve',
        () => true,
        () => reserve(cycle, this.state),
      );
    } catch (error) {
      this.notBound(info, nodeName, error, attempt);
      return;
    }
    this.state.assume(info, nodeName);
    this.binding++;
    void this.bind(cycle, attempt).finally(() => {
      this.binding--;
      this.wake();
    });
  }

  private async bind(cycle: BindingCycle, attempt: Attempt): Promise<void> {
    const { pod: info, nodeName } = cycle;
    const { world } = this.options;
    // Asked now: the cache may show the binding before its answer is here, and then the queue knows the pod no more.
    const tries = this.queue.tries(info.key);
    try {
      await bind(cycle, this.permits, this.abort.signal, attempt.stopwatch);
    } catch (error) {
      unreserve(cycle);
      this.state.forget(info.key);
      this.notBound(info, nodeName, error, attempt);
      // What it held is free again: that may be what another waits for.
      this.queue.happened({ name: 'AssignedPodDelete', object: info.pod });
      return;
    }
    this.state.bound(info.key, world.clock.now() + assumedForMs);
    this.state.denominate(info.key);
    this.attempted('scheduled', info, attempt);
    if (tries) this.options.observer?.bound(tries.attempts, world.clock.now() - tries.firstAtMs);
    this.queue.remove(info.key);
    this.reporter.scheduled(info, nodeName);
  }

  private notBound(info: PodInfo, nodeName: string, error: unknown, attempt: Attempt): void {
    if (this.abort.signal.aborted) return;
    // Gone: nothing to do. When someone else bound it, the informer takes it off the queue.
    if (isReason(error, 'NotFound')) {
      this.queue.remove(info.key);
      return;
    }
    this.attempted(error instanceof RefusedLate ? 'unschedulable' : 'error', info, attempt);
    if (error instanceof RefusedLate) {
      this.queue.refused(info.key, new Set([error.plugin]));
      this.reporter.failed(info, { reason: 'Unschedulable', message: error.message });
      return;
    }
    this.options.world.log.child('scheduler').warn('binding failed', { pod: info.key, node: nodeName, error: String(error) });
    this.queue.failed(info.key);
    this.reporter.failed(info, { reason: 'SchedulerError', message: `binding rejected: ${error instanceof Error ? error.message : String(error)}` });
  }

  // ---- none was

  private refuse(info: PodInfo, { message, plugins, remedy }: Refused, attempt: Attempt): void {
    this.attempted('unschedulable', info, attempt);
    const { nominatedNode, plan, keepsPromise = false } = remedy ?? {};
    this.queue.refused(info.key, remedy ? new Set([...plugins, remedy.plugin]) : plugins);
    // A promise that is not renewed is taken back, unless the pod still waits for its victims to leave.
    const promised = keepsPromise ? info.pod.status.nominatedNodeName : nominatedNode;
    if (promised === undefined) this.state.denominate(info.key);
    else this.state.nominate(info, promised);
    if (nominatedNode !== undefined) this.freeNominations(info, nominatedNode);
    this.reporter.failed(info, { reason: 'Unschedulable', message, ...(!keepsPromise && { nominatedNode: nominatedNode ?? '' }) });
    if (plan === undefined) return;
    if (plan.evicts !== undefined) this.options.observer?.evicts(plan.evicts);
    void plan.carryOut(this.abort.signal).then(
      () => this.queue.release(info.key),
      (error: unknown) => {
        if (this.abort.signal.aborted) return;
        this.options.world.log.child('scheduler').warn('making room failed', { pod: info.key, plugin: remedy?.plugin, error: String(error) });
        this.state.denominate(info.key);
        this.reporter.waits(info, { reason: 'Unschedulable', message, nominatedNode: '' });
        this.queue.retry(info.key);
      },
    );
  }

  /** Less important pods that were promised the same node have to look again. */
  private freeNominations(info: PodInfo, nodeName: string): void {
    for (const other of this.state.nominated(nodeName)) {
      if (other.key === info.key || other.priority >= info.priority) continue;
      this.state.denominate(other.key);
      const known = other.pod.status.conditions?.find(({ type }) => type === 'PodScheduled');
      this.reporter.waits(other, { reason: 'Unschedulable', message: known?.message ?? '', nominatedNode: '' });
      this.queue.retry(other.key);
    }
  }

  private failed(info: PodInfo, error: unknown, attempt: Attempt): void {
    if (this.abort.signal.aborted) return;
    this.attempted('error', info, attempt);
    const message = error instanceof Error ? error.message : String(error);
    this.options.world.log.child('scheduler').error('scheduling failed', { pod: info.key, error: error instanceof Error ? error.stack : message });
    this.queue.failed(info.key);
    this.reporter.failed(info, { reason: 'SchedulerError', message });
  }
}
