/**
 * Looks after one pod from the moment the node learns of it until nothing of it is left. Holds what `pod-plan.ts` cannot see in the runtime (what is
 * under way, back-offs, probes), asks it what to do next whenever something changed, and carries that out; every action runs by itself, so one
 * container's slow image holds nothing else up. Upstream: the pod workers and `SyncPod`, `SyncTerminatingPod` and `SyncTerminatedPod`.
 */
import type { Pod } from '../api/kinds.ts';
import type { V1PodStatus } from '../api/types.ts';
import { equal } from '../machinery/equal.ts';
import type { Timer } from '../world/world.ts';
import { type Rejection, admit } from './admission.ts';
import { BackOff } from './back-off.ts';
import type { KubeletContext } from './context.ts';
import { removeDeadInstances } from './dead-instances.ts';
import { deleteFromApi, giveBack, removeRemains } from './farewell.ts';
import { messageOf } from './handler.ts';
import { LastWords } from './last-words.ts';
import { startInstance, stopInstance } from './instances.ts';
import type { ObservedPod } from './observed-pods.ts';
import { type PodDirectories, podDirectories } from './pod-directories.ts';
import { type Action, type Plan, newestInstance, planPod, sandboxTask } from './pod-plan.ts';
import { PodTasks } from './pod-tasks.ts';
import { type PodProbes, createPodProbes } from './probes.ts';
import { containerOf, formatPod, isTerminalPhase } from './pod-spec.ts';
import { type Verdict, type Waiting, podStatus } from './pod-status.ts';
import type { ClaimedUsage } from './stats/usage-reader.ts';
import { type PodVolumes, createPodVolumes } from './volumes/pod-volumes.ts';
import { carryOutResize, resizeTask } from './resize/carry-out-resize.ts';
import { PodResize } from './resize/pod-resize.ts';
import type { SandboxConfig } from './runtime/runtime.ts';
import { createSandbox } from './sandboxes.ts';
import { shutdownVerdict } from './shutdown.ts';
import { ConfigError, StartError } from './start-error.ts';

export interface PodWorkerOptions {
  readonly context: KubeletContext;
  readonly pod: Pod;
  /** What admission counts: pods of the API that were admitted and have not ended. */
  readonly others: () => readonly Pod[];
  /** Why the node as it is takes no such pod. */
  readonly refusal: (pod: Pod) => Rejection | undefined;
  /** It uses less of the node than before. */
  readonly onRoom: () => void;
  /** Nothing of the pod is left, neither here nor in the API. */
  readonly onGone: () => void;
}

export interface PodWorker {
  readonly pod: Pod;
  /** With the resources it was granted, which may not be yet what its spec asks for. */
  readonly granted: Pod;
  /** A resize of it waits until others leave room. */
  readonly waitsForRoom: boolean;
  /** The API has a newer version. */
  update(pod: Pod): void;
  /** The API has it no more. */
  removed(): void;
  /** Something about it may have changed: look again. */
  wake(): void;
  /** What its volumes wait for may have come: those that could not be made are tried again at once. */
  retryVolumes(): void;
  /** What the volumes behind its claims hold. */
  claimedUsage(): Promise<readonly ClaimedUsage[]>;
  /**
   * Whether it counts when others are admitted. As upstream, one that the API has no more does not, even while its containers end: whoever deleted it by
   * force (a preempting scheduler) has given its place to others already.
   */
  counts(): boolean;
  /** The node cannot keep it: it ends as failed, and is not started again. */
  evict(message: string, graceSeconds: number): void;
  /** The machine is going down: it ends as failed. */
  shutDown(graceSeconds: number): void;
  /** The clock was set: moments that were waited for may be long past, or far away. */
  clockJumped(): void;
  /** Stops looking after it; what runs keeps running. */
  close(): void;
}

const prepareTask = 'volumes of the pod';
/** How long a container that crashed a second time waits. */
const firstCrashMs = 10_000;
/** Before a stop, or the removal from the API, is tried again. */
const retryMs = 2000;
/** A container that cannot be made (a missing Secret) is tried again after so long, or when what it refers to changes. */
const containerHoldMs = 10_000;

export function createPodWorker(options: PodWorkerOptions): PodWorker {
  return new Worker(options);
}

class Worker implements PodWorker {
  pod: Pod;
  readonly #context: KubeletContext;
  readonly #others: PodWorkerOptions['others'];
  readonly #refusal: PodWorkerOptions['refusal'];
  readonly #onRoom: () => void;
  readonly #onGone: () => void;
  readonly #directories: PodDirectories;
  readonly #volumes: PodVolumes;
  readonly #probes: PodProbes;
  readonly #crashes: BackOff;
  readonly #tasks: PodTasks;
  readonly #lastWords: LastWords;
  readonly #resize: PodResize;
  readonly #killing = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting>();
  /** Restart back-offs already told of: at most one event for each. */
  readonly #toldBackOff = new Map<string, number>();
  #sandboxConfig: SandboxConfig | undefined;
  #status: V1PodStatus;
  #admitted = false;
  #prepared = false;
  #termination: { deadlineMs: number } | undefined;
  #verdict: Verdict | undefined;
  #inApi = true;
  /** Under way. */
  #farewell = false;
  #givenBack = false;
  readonly #closed = new AbortController();
  #wakePending = false;
  #timer: Timer | undefined;

  constructor({ context, pod, others, refusal, onRoom, onGone }: PodWorkerOptions) {
    this.pod = pod;
    this.#context = context;
    this.#others = others;
    this.#refusal = refusal;
    this.#onRoom = onRoom;
    this.#onGone = onGone;
    this.#status = pod.status;
    this.#directories = podDirectories(context.rootDir, pod.metadata.uid);
    this.#crashes = new BackOff(Math.min(firstCrashMs, context.crashBackOffMaxMs), context.crashBackOffMaxMs);
    this.#resize = new PodResize(pod);
    this.#tasks = new PodTasks(context.world.clock, () => this.wake());
    this.#lastWords = new LastWords(context, () => this.wake());
    const { world, client, watched, host, runtime, network } = context;
    this.#volumes = createPodVolumes({
      world,
      client,
      watched,
      disk: host.disk,
      csi: context.csi,
      directories: this.#directories,
      pod,
      node: context.node,
      onFailure: (message) => context.tell(this.pod, 'Warning', 'FailedMount', message),
      addresses: () => ({ podIps: this.#podIps(), hostIps: context.nodeIps }),
      allocatable: () => context.node()?.status.allocatable ?? {},
      onChange: () => {
        this.#tasks.releaseAll();
        this.wake();
      },
    });
    this.#probes = createPodProbes({
      world,
      runtime,
      network,
      podIp: () => this.#podIps()[0] ?? '',
      onChange: () => this.wake(),
      tell: (container, message) => context.tell(this.pod, 'Warning', 'Unhealthy', message, container.name),
      onAttempt: ({ name: container }, kind, result) => {
        const { namespace, name, uid: podUid } = this.pod.metadata;
        context.counters.probe({ namespace, pod: name, podUid, container }, kind, result);
      },
    });
    this.#readTermination();
    this.wake();
  }

  update(pod: Pod): void {
    this.#resize.remember(this.#observed().containers);
    this.pod = pod;
    this.#resize.update(pod);
    this.#volumes.update(pod);
    this.#readTermination();
    this.wake();
  }

  get granted(): Pod {
    return this.#resize.effective;
  }

  get waitsForRoom(): boolean {
    return this.#resize.isWaiting;
  }

  removed(): void {
    this.#inApi = false;
    // Deleted by force: the API does not wait, and so neither do we, much.
    this.#terminate(this.pod.metadata.deletionTimestamp === undefined ? this.#graceMs() : 1000);
    this.wake();
  }

  counts(): boolean {
    return this.#inApi && !this.#farewell && !this.#givenBack && !isTerminalPhase(this.#status.phase);
  }

  evict = (message: string, graceSeconds: number): void => {
    if (this.#verdict) return;
    this.#context.tell(this.pod, 'Warning', 'Evicted', message);
    this.#fail({ reason: 'Evicted', message, disrupted: true }, graceSeconds);
  };

  shutDown(graceSeconds: number): void {
    if (!this.#verdict) this.#fail({ ...shutdownVerdict, disrupted: true }, graceSeconds);
  }

  #fail(verdict: Verdict, graceSeconds: number): void {
    this.#verdict = verdict;
    this.#terminate(graceSeconds * 1000);
    this.wake();
  }

  clockJumped(): void {
    this.#tasks.releaseAll();
    this.#volumes.clockJumped();
    this.wake();
  }

  close(): void {
    this.#closed.abort(new Error('the pod is not looked after any more'));
    this.#timer?.cancel();
    this.#tasks.abortAll();
    this.#probes.close();
    void this.#volumes.close();
  }

  retryVolumes(): void {
    if (this.#prepared) return;
    this.#tasks.release(prepareTask);
    this.wake();
  }

  claimedUsage(): Promise<readonly ClaimedUsage[]> {
    return this.#volumes.claimedUsage();
  }

  wake(): void {
    if (this.#wakePending || this.#closed.signal.aborted) return;
    this.#wakePending = true;
    // Changes of one moment are looked at together.
    queueMicrotask(() => {
      this.#wakePending = false;
      if (!this.#closed.signal.aborted) this.#step();
    });
  }

  #graceMs(): number {
    const { metadata, spec } = this.pod;
    return (metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  #podIps(): readonly string[] {
    if (this.pod.spec.hostNetwork === true) return this.#context.nodeIps;
    return this.#observed().sandboxes[0]?.ips ?? [];
  }

  #observed(): ObservedPod {
    return this.#context.observed.pod(this.pod.metadata.uid);
  }

  #readTermination(): void {
    if (this.pod.metadata.deletionTimestamp !== undefined) this.#terminate(this.#graceMs());
    else if (isTerminalPhase(this.pod.status.phase)) this.#terminate(0);
  }

  /** Ends the pod; a shorter grace period than before takes its place, a longer one does not. */
  #terminate(graceMs: number): void {
    const deadlineMs = this.#context.world.clock.now() + graceMs;
    if (this.#termination && this.#termination.deadlineMs <= deadlineMs) return;
    this.#termination = { deadlineMs };
    this.#tasks.abortAll();
  }

  #step(): void {
    const { world } = this.#context;
    const nowMs = world.clock.now();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#admit();
    const deadlineMs = this.#activeDeadlineMs();
    if (deadlineMs !== undefined && nowMs >= deadlineMs && !this.#termination) {
      this.#verdict = { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' };
      this.#context.tell(this.pod, 'Normal', 'DeadlineExceeded', this.#verdict.message);
      this.#terminate(this.#graceMs());
    }
    this.#prepare(nowMs);
    const observed = this.#observed();
    if (!this.#termination) this.#resizeStep(observed, nowMs);
    this.#probes.sync(this.pod, observed.containers, this.#termination !== undefined);
    let plan = this.#plan(nowMs);
    if (plan.outcome === 'completed') {
      this.#terminate(this.#graceMs());
      plan = this.#plan(nowMs);
    }
    for (const action of plan.actions) this.#carryOut(action, nowMs);
    // It is worked out again when a container has to be started anew.
    if (plan.actions.length === 0 && this.#prepared && this.#tasks.busy().size === 0) this.#sandboxConfig = undefined;
    this.#lastWords.hear(observed.containers, this.pod.status);
    // An end is told of once, with its last words: reading them takes no time to speak of.
    if (this.#lastWords.areHeard()) {
      this.#publish(nowMs);
      if (plan.outcome === 'stopped') void this.#finish();
    }
    let wakeAtMs = plan.wakeAtMs;
    if (!this.#termination && deadlineMs !== undefined) wakeAtMs = Math.min(wakeAtMs ?? deadlineMs, deadlineMs);
    const resizeMs = this.#tasks.heldUntilMs(resizeTask);
    if (!this.#termination && resizeMs > nowMs) wakeAtMs = Math.min(wakeAtMs ?? resizeMs, resizeMs);
    const heldMs = this.#tasks.heldUntilMs(prepareTask);
    if (!this.#prepared && heldMs > nowMs) wakeAtMs = Math.min(wakeAtMs ?? heldMs, heldMs);
    if (wakeAtMs !== undefined) this.#timer = world.clock.after(wakeAtMs - nowMs, () => this.wake());
  }

  #plan(nowMs: number): Plan {
    return planPod({
      pod: this.granted,
      observed: this.#observed(),
      nowMs,
      // A sandbox that has its network keeps it, whatever the node says later.
      prepared: this.#prepared && (this.#mayHaveNetwork() || this.#observed().sandboxes[0]?.ready === true),
      termination: this.#termination,
      busy: this.#tasks.busy(),
      killing: this.#killing,
      verdict: (id) => this.#probes.verdict(id),
      crashBackOffUntilMs: (name, finishedAtMs) => this.#crashes.untilMs(name, finishedAtMs),
      heldUntilMs: (task) => this.#tasks.heldUntilMs(task),
    });
  }

  #mayHaveNetwork(): boolean {
    return this.pod.spec.hostNetwork === true || this.#context.networkReady();
  }

  /** Once, when the pod is first seen; one that already runs here was admitted before. */
  #admit(): void {
    if (this.#admitted || this.#termination) return;
    this.#admitted = true;
    const node = this.#context.node();
    if (!node || this.#observed().sandboxes.length > 0) return;
    const rejection = this.#refusal(this.pod) ?? admit(this.pod, node, this.#others()) ?? this.#context.cpus?.admit(this.pod);
    if (!rejection) return;
    this.#verdict = rejection;
    this.#context.tell(this.pod, 'Warning', rejection.reason, rejection.message);
    this.#terminate(0);
  }

  #activeDeadlineMs(): number | undefined {
    const { activeDeadlineSeconds } = this.pod.spec;
    const { startTime } = this.#status;
    return activeDeadlineSeconds === undefined || startTime === undefined ? undefined : Date.parse(startTime) + activeDeadlineSeconds * 1000;
  }

  #prepare(nowMs: number): void {
    if (this.#prepared || this.#termination || this.#tasks.isBusy(prepareTask) || this.#tasks.heldUntilMs(prepareTask) > nowMs) return;
    const { host } = this.#context;
    this.#tasks.run(
      prepareTask,
      async () => {
        await Promise.all([host.cgroups.create(this.granted), this.#volumes.prepare()]);
        this.#prepared = true;
      },
      (error) => {
        this.#tasks.hold(prepareTask);
        this.#context.tell(this.pod, 'Warning', error instanceof ConfigError ? 'FailedMount' : 'FailedCreatePodContainer', messageOf(error));
      },
    );
  }

  #carryOut(action: Action, nowMs: number): void {
    const context = this.#context;
    const { pod } = this;
    switch (action.type) {
      case 'create-sandbox':
        if (action.attempt > 0) context.tell(pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
        this.#tasks.run(
          sandboxTask,
          async () => {
            this.#sandboxConfig = await createSandbox(context, pod, action.attempt, this.#directories);
          },
          (error) => {
            this.#tasks.hold(sandboxTask);
            context.tell(pod, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${messageOf(error)}`);
          },
        );
        return;
      case 'stop-sandbox':
        this.#tasks.run(
          sandboxTask,
          async () => {
            await context.runtime.stopPodSandbox(action.id);
            await context.observed.refreshSandbox(action.id);
            await Promise.all(
              this.#observed()
                .containers.filter(({ state }) => state === 'running')
                .map(({ id }) => context.observed.refreshContainer(id)),
            );
          },
          (error) => {
            this.#tasks.hold(sandboxTask);
            context.tell(pod, 'Warning', 'FailedKillPod', `error killing pod: ${messageOf(error)}`);
          },
        );
        return;
      case 'start-container':
        this.#start(action);
        return;
      case 'kill-container':
        this.#kill(action);
        return;
      case 'back-off': {
        const { name } = action.container;
        const delay = this.#goSeconds(this.#crashes.delayMs(name));
        this.#waiting.set(name, {
          reason: 'CrashLoopBackOff',
          message: `back-off ${delay} restarting failed container=${name} pod=${formatPod(pod)}`,
        });
        if (this.#toldBackOff.get(name) === action.untilMs || action.untilMs <= nowMs) return;
        this.#toldBackOff.set(name, action.untilMs);
        context.tell(pod, 'Warning', 'BackOff', `Back-off restarting failed container ${name} in pod ${formatPod(pod)}`, name);
      }
    }
  }

  /** As Go prints a duration of whole seconds: `10s`, `1m20s`, `5m0s`. */
  #goSeconds(ms: number): string {
    const seconds = Math.round(ms / 1000);
    return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
  }

  #start({ container, role, sandboxId, attempt, previous }: Extract<Action, { type: 'start-container' }>): void {
    const { world, images } = this.#context;
    const { name } = container;
    if (previous && previous.state !== 'running') {
      this.#crashes.count(name, world.clock.now(), previous.finishedAtMs || world.clock.now());
    }
    this.#tasks.run(
      name,
      async (signal) => {
        const instance = await startInstance({
          context: this.#context,
          pod: this.granted,
          container,
          role,
          sandboxId,
          attempt,
          sandbox: await this.#configOfSandbox(sandboxId),
          volumes: this.#volumes,
          directories: this.#directories,
          podIps: this.#podIps(),
          signal,
        });
        this.#waiting.delete(name);
        if (!instance) return;
        this.#resize.given(instance.id, container);
        removeDeadInstances(this.#context, this.pod.metadata.uid, name).catch((error: unknown) => {
          this.#context.world.log.debug('removing old instances failed', { container: name, error: messageOf(error) });
        });
      },
      (error) => {
        if (!(error instanceof StartError)) {
          this.#context.world.log.warn('starting a container failed', { pod: formatPod(this.pod), container: name, error: String(error) });
          this.#waiting.set(name, { reason: 'CreateContainerError', message: messageOf(error) });
          this.#tasks.hold(name, containerHoldMs);
          return;
        }
        this.#waiting.set(name, { reason: error.reason, message: error.message });
        const nowMs = world.clock.now();
        const isPullFailure = error.reason === 'ErrImagePull' || error.reason === 'RegistryUnavailable';
        const retryAtMs = isPullFailure || error.reason === 'ImagePullBackOff' ? images.retryAtMs(this.pod, container) : nowMs + containerHoldMs;
        // After the first failed pull the container is asked for once more, to say that it now waits.
        const delayMs = isPullFailure ? Math.min(2000, Math.max(0, retryAtMs - nowMs)) : retryAtMs - nowMs;
        // An instance that was created is one more crash: its own back-off says when.
        if (error.reason === 'RunContainerError' || error.reason === 'PostStartHookError') this.#tasks.release(name);
        else this.#tasks.hold(name, Math.max(0, delayMs));
      },
    );
  }

  /** After a restart of the kubelet the sandbox's configuration is worked out anew: it depends on the pod alone. */
  async #configOfSandbox(sandboxId: string): Promise<SandboxConfig> {
    if (this.#sandboxConfig) return this.#sandboxConfig;
    const attempt = this.#observed().sandboxes.find(({ id }) => id === sandboxId)?.attempt ?? 0;
    this.#sandboxConfig = await this.#context.sandboxConfigOf(this.pod, attempt);
    return this.#sandboxConfig;
  }

  #resizeStep({ containers }: ObservedPod, nowMs: number): void {
    const graceMs = (this.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    carryOutResize({
      context: this.#context,
      pod: this.pod,
      resize: this.#resize,
      tasks: this.#tasks,
      running: containers.filter(({ state, id }) => state === 'running' && !this.#killing.has(id)),
      others: this.#others,
      restart: (instance, message) => this.#kill({ type: 'kill-container', instance, deadlineMs: nowMs + graceMs, reason: 'changed', message }),
      onRoom: this.#onRoom,
    });
  }

  #kill({ instance, deadlineMs, reason, message }: Extract<Action, { type: 'kill-container' }>): void {
    const isFirst = !this.#killing.has(instance.id);
    this.#killing.set(instance.id, deadlineMs);
    if (isFirst) this.#context.tell(this.pod, 'Normal', 'Killing', message, instance.name);
    stopInstance({
      context: this.#context,
      pod: this.pod,
      instance,
      podIp: this.#podIps()[0] ?? '',
      deadlineMs,
      // A second, shorter one only hurries the runtime up.
      withHook: isFirst && reason !== 'startup',
    })
      .catch((error: unknown) => {
        this.#context.tell(this.pod, 'Warning', 'FailedKillPod', `error killing container ${instance.name}: ${messageOf(error)}`);
        return this.#pause();
      })
      .finally(() => {
        if (this.#killing.get(instance.id) !== deadlineMs) return;
        this.#killing.delete(instance.id);
        this.wake();
      });
  }

  #publish(nowMs: number): void {
    const observed = this.#observed();
    const nothingRuns = !observed.containers.some(({ state }) => state === 'running');
    const ended = this.#termination !== undefined && nothingRuns && this.#tasks.busy().size === 0;
    for (const name of this.#waiting.keys()) if (newestInstance(observed, name)?.state === 'running') this.#waiting.delete(name);
    const status = podStatus({
      pod: this.granted,
      observed,
      nowMs,
      runtimeName: this.#context.runtimeName,
      hostIps: this.#context.nodeIps,
      previous: this.#status,
      waiting: (name) => this.#waiting.get(name),
      hooked: (name) => this.#tasks.isBusy(name) && containerOf(this.pod, name)?.spec.lifecycle?.postStart !== undefined,
      started: ({ id }) => this.#probes.verdict(id).started,
      ready: ({ id }) => this.#probes.ready(id),
      terminationMessage: (instance) => this.#lastWords.of(instance),
      ended,
      resources: ({ id }) => this.#resize.resourcesOf(id),
      resize: this.#resize.conditions(),
      verdict: nothingRuns ? this.#verdict : undefined,
    });
    const shown = this.#context.apiPod(this.pod);
    // Where the API has it already, one copy is enough.
    this.#status = shown && equal(status, shown.status) ? shown.status : status;
    if (this.#inApi && shown) this.#context.statuses.write(shown, this.#status);
  }

  /** Nothing runs any more: the node takes back what it lent, and, if the API waits for that, the pod goes from there too. */
  async #finish(): Promise<void> {
    if (this.#farewell) return;
    this.#farewell = true;
    try {
      await this.#volumes.close();
      if (!this.#givenBack) await giveBack(this.#context, this.pod, this.#directories);
      this.#givenBack = true;
      this.#context.cpus?.release(this.pod.metadata.uid);
      this.#onRoom();
      if (this.#inApi && this.pod.metadata.deletionTimestamp === undefined) return;
      if (this.#inApi) await deleteFromApi(this.#context, this.pod);
    } catch (error) {
      if (this.#inApi) {
        this.#context.world.log.warn('saying farewell to a pod failed; trying again', { pod: formatPod(this.pod), error: messageOf(error) });
        await this.#pause();
        this.wake();
        return;
      }
    } finally {
      this.#farewell = false;
    }
    if (this.#closed.signal.aborted) return;
    this.close();
    this.#context.statuses.forget((this.#context.apiPod(this.pod) ?? this.pod).metadata.uid);
    this.#context.images.forget(this.pod);
    this.#onGone();
    // What cannot be removed now is found and removed as an orphan.
    await removeRemains(this.#context, this.pod).catch((error: unknown) => {
      this.#context.world.log.debug('removing the remains of a pod failed', { pod: formatPod(this.pod), error: messageOf(error) });
    });
  }

  /** Before something that failed is tried again. */
  #pause(): Promise<void> {
    return this.#context.world.clock.sleep(retryMs, this.#closed.signal).catch(() => {});
  }
}
