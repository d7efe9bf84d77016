/**
 * Looks after one pod from the moment the node learns of it until nothing of it is left: asks `pod-plan.ts` what to do next whenever something changed, and
 * has its parts (`pod-preparation.ts`, `pod-sandbox.ts`, `pod-containers.ts`) carry that out; every action runs by itself, so one container's slow image holds
 * nothing else up. Upstream: the pod workers and `SyncPod`, `SyncTerminatingPod` and `SyncTerminatedPod`.
 */
import type { Pod } from '../api/kinds.ts';
import type { Timer } from '../world/world.ts';
import { type Rejection, admit } from './admission.ts';
import type { KubeletContext } from './context.ts';
import { Farewell, removeRemains } from './farewell.ts';
import { messageOf } from './handler.ts';
import { LastWords } from './last-words.ts';
import type { ObservedPod } from './observed-pods.ts';
import { PodContainers } from './pod-containers.ts';
import { type PodDirectories, podDirectories } from './pod-directories.ts';
import { PodEnding, activeDeadlineMs, graceMsOf } from './pod-ending.ts';
import { type Action, type Plan, planPod } from './pod-plan.ts';
import { PodPreparation } from './pod-preparation.ts';
import { PodReport } from './pod-report.ts';
import { PodSandbox } from './pod-sandbox.ts';
import type { PodScope } from './pod-scope.ts';
import { formatPod, isTerminalPhase } from './pod-spec.ts';
import { PodTasks } from './pod-tasks.ts';
import { PodProbes } from './probes.ts';
import { carryOutResize, resizeTask } from './resize/carry-out-resize.ts';
import { PodResize } from './resize/pod-resize.ts';
import { shutdownVerdict } from './shutdown.ts';
import type { ClaimedUsage } from './stats/usage-reader.ts';

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

/** Before a stop, or the removal from the API, is tried again. */
const retryMs = 2000;
/** Deleted by force: the API does not wait, and so neither do we, much. */
const forcedGraceMs = 1000;

export class PodWorker implements PodScope {
  pod: Pod;
  readonly context: KubeletContext;
  readonly directories: PodDirectories;
  readonly tasks: PodTasks;
  readonly #others: PodWorkerOptions['others'];
  readonly #refusal: PodWorkerOptions['refusal'];
  readonly #onRoom: () => void;
  readonly #onGone: () => void;
  readonly #preparation: PodPreparation;
  readonly #sandbox: PodSandbox;
  readonly #containers: PodContainers;
  readonly #probes: PodProbes;
  readonly #lastWords: LastWords;
  readonly #resize: PodResize;
  readonly #ending: PodEnding;
  readonly #report: PodReport;
  readonly #farewell: Farewell;
  #admitted = false;
  #inApi = true;
  #closed = false;
  /** Made when something has to be waited for. */
  #closing: AbortController | undefined;
  #wakePending = false;
  #timer: Timer | undefined;

  constructor({ context, pod, others, refusal, onRoom, onGone }: PodWorkerOptions) {
    this.pod = pod;
    this.context = context;
    this.#others = others;
    this.#refusal = refusal;
    this.#onRoom = onRoom;
    this.#onGone = onGone;
    const { clock } = context.world;
    this.directories = podDirectories(context.rootDir, pod.metadata.uid);
    this.tasks = new PodTasks(clock, () => this.wake());
    this.#resize = new PodResize(pod);
    this.#lastWords = new LastWords(context, () => this.wake());
    this.#ending = new PodEnding(clock, () => this.tasks.abortAll());
    this.#preparation = new PodPreparation(this);
    this.#sandbox = new PodSandbox(this);
    this.#containers = new PodContainers({
      scope: this,
      volumes: this.#preparation.volumes,
      sandbox: this.#sandbox,
      resize: this.#resize,
      pause: () => this.#pause(),
    });
    this.#probes = new PodProbes(this);
    this.#report = new PodReport({
      scope: this,
      containers: this.#containers,
      probes: this.#probes,
      lastWords: this.#lastWords,
      resize: this.#resize,
      ending: this.#ending,
    });
    this.#farewell = new Farewell(this, this.#preparation.volumes, onRoom);
    this.#ending.follow(pod);
    this.wake();
  }

  get granted(): Pod {
    return this.#resize.effective;
  }

  get observed(): ObservedPod {
    return this.context.observed.pod(this.pod.metadata.uid);
  }

  get podIps(): readonly string[] {
    if (this.pod.spec.hostNetwork === true) return this.context.nodeIps;
    return this.observed.sandboxes[0]?.ips ?? [];
  }

  /** A resize of it waits until others leave room. */
  get waitsForRoom(): boolean {
    return this.#resize.isWaiting;
  }

  /** The API has a newer version. */
  update(pod: Pod): void {
    this.#resize.remember(this.observed.containers);
    this.pod = pod;
    this.#resize.update(pod);
    this.#preparation.volumes.update(pod);
    this.#ending.follow(pod);
    this.wake();
  }

  /** The API has it no more. */
  removed(): void {
    this.#inApi = false;
    this.#ending.begin(this.pod.metadata.deletionTimestamp === undefined ? graceMsOf(this.pod) : forcedGraceMs);
    this.wake();
  }

  /**
   * Whether it counts when others are admitted. As upstream, one that the API has no more does not, even while its containers end: whoever deleted it by
   * force (a preempting scheduler) has given its place to others already.
   */
  counts(): boolean {
    return this.#inApi && !this.#farewell.hasBegun && !isTerminalPhase(this.#report.status.phase);
  }

  /** The node cannot keep it: it ends as failed, and is not started again. */
  evict(message: string, graceSeconds: number): void {
    if (this.#ending.verdict) return;
    this.context.tell(this.pod, 'Warning', 'Evicted', message);
    this.#ending.fail({ reason: 'Evicted', message, disrupted: true }, graceSeconds * 1000);
    this.wake();
  }

  /** The machine is going down: it ends as failed. */
  shutDown(graceSeconds: number): void {
    if (this.#ending.verdict) return;
    this.#ending.fail({ ...shutdownVerdict, disrupted: true }, graceSeconds * 1000);
    this.wake();
  }

  /** The clock was set: moments that were waited for may be long past, or far away. */
  clockJumped(): void {
    this.tasks.releaseAll();
    this.#preparation.volumes.clockJumped();
    this.wake();
  }

  /** What its volumes wait for may have come: those that could not be made are tried again at once. */
  retryVolumes(): void {
    this.#preparation.retry();
  }

  /** What the volumes behind its claims hold. */
  claimedUsage(): Promise<readonly ClaimedUsage[]> {
    return this.#preparation.volumes.claimedUsage();
  }

  /** Stops looking after it; what runs keeps running. */
  close(): void {
    this.#closed = true;
    this.#closing?.abort(new Error('the pod is not looked after any more'));
    this.#timer?.cancel();
    this.tasks.abortAll();
    this.#probes.close();
    void this.#preparation.volumes.close();
  }

  wake(): void {
    if (this.#wakePending || this.#closed) return;
    this.#wakePending = true;
    // Changes of one moment are looked at together.
    queueMicrotask(() => {
      this.#wakePending = false;
      if (!this.#closed) this.#step();
    });
  }

  #step(): void {
    const { clock } = this.context.world;
    const nowMs = clock.now();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#admit();
    const deadlineMs = activeDeadlineMs(this.pod, this.#report.status.startTime);
    if (deadlineMs !== undefined && nowMs >= deadlineMs) this.#exceedDeadline();
    if (!this.#ending.termination) this.#preparation.attempt(nowMs);
    const { observed } = this;
    if (!this.#ending.termination) this.#resizeStep(observed, nowMs);
    this.#probes.sync(observed.containers, this.#ending.termination !== undefined);
    let plan = this.#plan(nowMs);
    if (plan.outcome === 'completed') {
      this.#ending.begin(graceMsOf(this.pod));
      plan = this.#plan(nowMs);
    }
    for (const action of plan.actions) this.#carryOut(action, nowMs);
    if (plan.actions.length === 0 && this.#preparation.isDone && this.tasks.busy().size === 0) this.#sandbox.forgetConfig();
    this.#lastWords.hear(observed.containers, this.pod.status);
    // An end is told of once, with its last words: reading them takes no time to speak of.
    if (this.#lastWords.areHeard()) {
      this.#report.publish(nowMs, this.#inApi);
      if (plan.outcome === 'stopped') void this.#finish();
    }
    const wakeAtMs = earliest(
      plan.wakeAtMs,
      this.#preparation.retryAtMs(nowMs),
      ...(this.#ending.termination ? [] : [deadlineMs, this.#resizeAtMs(nowMs)]),
    );
    if (wakeAtMs !== undefined) this.#timer = clock.after(wakeAtMs - nowMs, () => this.wake());
  }

  #plan(nowMs: number): Plan {
    const { observed } = this;
    return planPod({
      pod: this.granted,
      observed,
      nowMs,
      // A sandbox that has its network keeps it, whatever the node says later.
      prepared: this.#preparation.isDone && (this.#mayHaveNetwork() || observed.sandboxes[0]?.ready === true),
      termination: this.#ending.termination,
      busy: this.tasks.busy(),
      killing: this.#containers.killing,
      verdict: (id) => this.#probes.verdict(id),
      crashBackOffUntilMs: (name, finishedAtMs) => this.#containers.crashBackOffUntilMs(name, finishedAtMs),
      heldUntilMs: (task) => this.tasks.heldUntilMs(task),
      removedAttempt: (name) => this.#containers.removedAttempt(name),
    });
  }

  #mayHaveNetwork(): boolean {
    return this.pod.spec.hostNetwork === true || this.context.networkReady();
  }

  #carryOut(action: Action, nowMs: number): void {
    switch (action.type) {
      case 'create-sandbox':
        return this.#sandbox.create(action.attempt);
      case 'stop-sandbox':
        return this.#sandbox.stop(action.id);
      case 'start-container':
        return this.#containers.start(action);
      case 'kill-container':
        return this.#containers.kill(action);
      case 'remove-instances':
        return this.#containers.remove(action);
      case 'back-off':
        return this.#containers.backOff(action, nowMs);
    }
  }

  /** Once, when the pod is first seen; one that already runs here was admitted before. */
  #admit(): void {
    if (this.#admitted || this.#ending.termination) return;
    this.#admitted = true;
    const node = this.context.node();
    if (!node || this.observed.sandboxes.length > 0) return;
    // As upstream, its place on the machine first; a pod that is refused after that gives it back as it ends.
    const rejection = this.#refusal(this.pod) ?? this.context.placement?.admit(this.pod) ?? admit(this.pod, node, this.#others());
    if (!rejection) return;
    this.context.tell(this.pod, 'Warning', rejection.reason, rejection.message);
    this.#ending.fail(rejection, 0);
  }

  #exceedDeadline(): void {
    if (this.#ending.termination) return;
    const message = 'Pod was active on the node longer than the specified deadline';
    this.context.tell(this.pod, 'Normal', 'DeadlineExceeded', message);
    this.#ending.fail({ reason: 'DeadlineExceeded', message }, graceMsOf(this.pod));
  }

  #resizeStep({ containers }: ObservedPod, nowMs: number): void {
    const graceMs = (this.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    carryOutResize({
      context: this.context,
      pod: this.pod,
      resize: this.#resize,
      tasks: this.tasks,
      running: containers.filter(({ state, id }) => state === 'running' && !this.#containers.killing.has(id)),
      others: this.#others,
      restart: (instance, message) =>
        this.#containers.kill({ type: 'kill-container', instance, deadlineMs: nowMs + graceMs, reason: 'changed', message }),
      onRoom: this.#onRoom,
    });
  }

  #resizeAtMs(nowMs: number): number | undefined {
    const heldMs = this.tasks.heldUntilMs(resizeTask);
    return heldMs > nowMs ? heldMs : undefined;
  }

  /** Nothing runs any more. */
  async #finish(): Promise<void> {
    if (this.#farewell.isUnderWay) return;
    const { context, pod } = this;
    const outcome = await this.#farewell.attempt(() => this.#inApi);
    if (outcome === 'failed') {
      await this.#pause();
      this.wake();
    }
    if (outcome !== 'left' || this.#closed) return;
    this.close();
    context.statuses.forget((context.apiPod(pod) ?? pod).metadata.uid);
    context.images.forget(pod);
    this.#onGone();
    // What cannot be removed now is found and removed as an orphan.
    await removeRemains(context, pod).catch((error: unknown) => {
      context.world.log.debug('removing the remains of a pod failed', { pod: formatPod(pod), error: messageOf(error) });
    });
  }

  /** Before something that failed is tried again. */
  #pause(): Promise<void> {
    this.#closing ??= new AbortController();
    if (this.#closed) this.#closing.abort();
    return this.context.world.clock.sleep(retryMs, this.#closing.signal).catch(() => {});
  }
}

/** Of those that there are. */
function earliest(...moments: readonly (number | undefined)[]): number | undefined {
  let first: number | undefined;
  for (const moment of moments) if (moment !== undefined && (first === undefined || moment < first)) first = moment;
  return first;
}
