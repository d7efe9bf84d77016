/**
 * Starts and stops the containers of one pod, each by itself, and remembers what the runtime does not: who crashed how often, who is being stopped by when, and
 * why who is not started yet.
 */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { BackOff } from './back-off.ts';
import { removeDeadInstances } from './dead-instances.ts';
import { messageOf } from './handler.ts';
import type { Images } from './images.ts';
import { startInstance, stopInstance } from './instances.ts';
import { removeLog } from './log-rotation.ts';
import { type Action, newestInstance } from './pod-plan.ts';
import type { PodSandbox } from './pod-sandbox.ts';
import type { PodScope } from './pod-scope.ts';
import { formatPod } from './pod-spec.ts';
import type { Waiting } from './pod-status.ts';
import type { PodResize } from './resize/pod-resize.ts';
import { SparseMap } from './sparse-map.ts';
import { StartError } from './start-error.ts';
import { imageVolumesOf } from './volumes/image-volumes.ts';
import type { PodVolumes } from './volumes/pod-volumes.ts';

type StartAction = Extract<Action, { type: 'start-container' }>;
type KillAction = Extract<Action, { type: 'kill-container' }>;
type RemoveAction = Extract<Action, { type: 'remove-instances' }>;
type BackOffAction = Extract<Action, { type: 'back-off' }>;

export interface PodContainersOptions {
  readonly scope: PodScope;
  readonly volumes: PodVolumes;
  readonly sandbox: PodSandbox;
  readonly resize: PodResize;
  /** Before something that failed is tried again. */
  readonly pause: () => Promise<void>;
}

/** Its entry among the tasks; no container can be named so. */
const removeTask = 'instances of the pod';
/** How long a container that crashed a second time waits. */
const firstCrashMs = 10_000;
/** A container that cannot be made (a missing Secret) is tried again after so long, or when what it refers to changes. */
const containerHoldMs = 10_000;
/** After the first failed pull the container is asked for once more, to say that it now waits. */
const pullSaidMs = 2000;

export class PodContainers {
  readonly #scope: PodScope;
  readonly #volumes: PodVolumes;
  readonly #sandbox: PodSandbox;
  readonly #resize: PodResize;
  readonly #pause: () => Promise<void>;
  readonly #crashes: BackOff;
  readonly #killing = new SparseMap<string, number>();
  readonly #waiting = new SparseMap<string, Waiting>();
  /** Restart back-offs already told of: at most one event for each. */
  readonly #toldBackOff = new SparseMap<string, number>();

  /** Of containers whose instances were removed to start them anew, the last attempts. */
  readonly #removed = new SparseMap<string, number>();

  constructor({ scope, volumes, sandbox, resize, pause }: PodContainersOptions) {
    const { crashBackOffMaxMs } = scope.context;
    this.#scope = scope;
    this.#volumes = volumes;
    this.#sandbox = sandbox;
    this.#resize = resize;
    this.#pause = pause;
    this.#crashes = new BackOff(Math.min(firstCrashMs, crashBackOffMaxMs), crashBackOffMaxMs);
  }

  /** Instances that are being stopped, with their deadlines. */
  get killing(): Pick<ReadonlyMap<string, number>, 'get' | 'has'> {
    return this.#killing;
  }

  /** Why a container does not run, where that is known better than `ContainerCreating`. */
  waiting(name: string): Waiting | undefined {
    return this.#waiting.get(name);
  }

  crashBackOffUntilMs(name: string, finishedAtMs: number): number {
    return this.#crashes.untilMs(name, finishedAtMs);
  }

  /** The last attempt of a container that is to be started anew; undefined once it was. */
  removedAttempt(name: string): number | undefined {
    return this.#removed.get(name);
  }

  /** Those that run wait for nothing any more. */
  look(): void {
    const { observed } = this.#scope;
    for (const name of this.#waiting.keys()) if (newestInstance(observed, name)?.state === 'running') this.#waiting.delete(name);
  }

  start(action: StartAction): void {
    const { context, tasks } = this.#scope;
    const { previous, container } = action;
    const nowMs = context.world.clock.now();
    if (previous && previous.state !== 'running') this.#crashes.count(container.name, nowMs, previous.finishedAtMs || nowMs);
    tasks.run(
      container.name,
      (signal) => this.#startInstance(action, signal),
      (error) => this.#startFailed(action, error),
    );
  }

  kill({ instance, deadlineMs, reason, message }: KillAction): void {
    const scope = this.#scope;
    const { context, pod } = scope;
    const isFirst = !this.#killing.has(instance.id);
    this.#killing.set(instance.id, deadlineMs);
    if (isFirst) context.tell(pod, 'Normal', 'Killing', message, instance.name);
    stopInstance({
      context,
      pod,
      instance,
      podIp: scope.podIps[0] ?? '',
      deadlineMs,
      // A second, shorter one only hurries the runtime up.
      withHook: isFirst && reason !== 'startup' && reason !== 'restart-all',
    })
      .catch((error: unknown) => {
        context.tell(scope.pod, 'Warning', 'FailedKillPod', `error killing container ${instance.name}: ${messageOf(error)}`);
        return this.#pause();
      })
      .finally(() => {
        if (this.#killing.get(instance.id) !== deadlineMs) return;
        this.#killing.delete(instance.id);
        scope.wake();
      });
  }

  /** All of them start anew; one that has that done again and again has the pod wait longer and longer. */
  remove({ instances, trigger }: RemoveAction): void {
    const { context, tasks } = this.#scope;
    const { runtime, observed, host, world } = context;
    this.#crashes.count(trigger.name, world.clock.now(), trigger.finishedAtMs);
    tasks.run(
      removeTask,
      async () => {
        for (const { id, name, attempt, logPath } of [...instances, trigger]) {
          this.#removed.set(name, Math.max(attempt, this.#removed.get(name) ?? 0));
          await runtime.removeContainer(id);
          await removeLog(host.disk, logPath);
          await observed.refreshContainer(id);
        }
      },
      (error) => {
        tasks.hold(trigger.name);
        context.tell(this.#scope.pod, 'Warning', 'FailedKillPod', `error removing containers to start them anew: ${messageOf(error)}`);
      },
    );
  }

  /** A container that crashed waits until it is started again. */
  backOff({ container: { name }, untilMs }: BackOffAction, nowMs: number): void {
    const { context, pod } = this.#scope;
    const delay = goSeconds(this.#crashes.delayMs(name));
    this.#waiting.set(name, {
      reason: 'CrashLoopBackOff',
      message: `back-off ${delay} restarting failed container=${name} pod=${formatPod(pod)}`,
    });
    if (this.#toldBackOff.get(name) === untilMs || untilMs <= nowMs) return;
    this.#toldBackOff.set(name, untilMs);
    context.tell(pod, 'Warning', 'BackOff', `Back-off restarting failed container ${name} in pod ${formatPod(pod)}`, name);
  }

  async #startInstance({ container, role, sandboxId, attempt }: StartAction, signal: AbortSignal): Promise<void> {
    const scope = this.#scope;
    const { context, directories, granted: pod } = scope;
    const { name } = container;
    const [sandbox] = await Promise.all([this.#sandbox.configOf(sandboxId), this.#admitToNetwork()]);
    const request = { context, pod, container, role, sandboxId, sandbox, attempt, directories, podIps: scope.podIps, signal };
    const instance = await startInstance({ ...request, volumes: this.#volumes });
    this.#waiting.delete(name);
    if (!instance) return;
    this.#removed.delete(name);
    this.#resize.given(instance.id, container);
    removeDeadInstances(context, pod.metadata.uid, name).catch((error: unknown) => {
      context.world.log.debug('removing old instances failed', { container: name, error: messageOf(error) });
    });
  }

  /** The host's own network is nobody's to guard. */
  async #admitToNetwork(): Promise<void> {
    const { context, pod, podIps } = this.#scope;
    if (pod.spec.hostNetwork !== true) await context.admitToNetwork(pod, podIps);
  }

  #startFailed({ container }: StartAction, error: unknown): void {
    const { context, pod, tasks } = this.#scope;
    const { name } = container;
    if (!(error instanceof StartError)) {
      context.world.log.warn('starting a container failed', { pod: formatPod(pod), container: name, error: String(error) });
      this.#waiting.set(name, { reason: 'CreateContainerError', message: messageOf(error) });
      tasks.hold(name, containerHoldMs);
      return;
    }
    this.#waiting.set(name, { reason: error.reason, message: error.message });
    const nowMs = context.world.clock.now();
    const isPullFailure = error.reason === 'ErrImagePull' || error.reason === 'RegistryUnavailable';
    const waitsForPull = isPullFailure || error.reason === 'ImagePullBackOff';
    const retryAtMs = waitsForPull ? retryPullAtMs(context.images, pod, container) : nowMs + containerHoldMs;
    const delayMs = Math.max(0, retryAtMs - nowMs);
    // An instance that was created is one more crash: its own back-off says when.
    if (error.reason === 'RunContainerError' || error.reason === 'PostStartHookError') tasks.release(name);
    else tasks.hold(name, isPullFailure ? Math.min(pullSaidMs, delayMs) : delayMs);
  }
}

/** Whichever of its images failed: its own, or one that is a volume of it. */
function retryPullAtMs(images: Images, pod: Pod, container: V1Container): number {
  const names = [container.image, ...imageVolumesOf(pod, container).map(({ image }) => image?.reference)];
  return Math.max(...names.map((image = '') => images.retryAtMs(pod, { ...container, image })));
}

/** As Go prints a duration of whole seconds: `10s`, `1m20s`, `5m0s`. */
function goSeconds(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
