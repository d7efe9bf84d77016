/**
 * Decides what one pod needs next: from the wanted pod, what the runtime has, and what is already under way, to a list of actions. A pure
 * function: `pod-worker.ts` carries the actions out and asks again whenever something changed. Upstream: `computePodActions` and `SyncPod`.
 */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { containerHash } from './container-hash.ts';
import { hashAnnotation } from './labels.ts';
import type { ObservedPod } from './observed-pods.ts';
import { type ContainerRole, containersOf, isSidecar } from './pod-spec.ts';
import { mayRestart, restartTrigger } from './restart-rules.ts';
import type { ContainerStatus, SandboxStatus } from './runtime/runtime.ts';

/** What probes say of one running instance. */
export interface ProbeVerdict {
  /** True without a startup probe, or when it passed. */
  readonly started: boolean;
  readonly failed: 'startup' | 'liveness' | undefined;
}

export interface Termination {
  /** When what still runs is killed by force. */
  readonly deadlineMs: number;
}

export interface PlanInput {
  readonly pod: Pod;
  readonly observed: ObservedPod;
  readonly nowMs: number;
  /** Directories, cgroup and volumes are there. */
  readonly prepared: boolean;
  readonly termination: Termination | undefined;
  /** Names of containers being started; `sandboxTask` for the sandbox. */
  readonly busy: Pick<ReadonlySet<string>, 'has' | 'size'>;
  /** Instances being stopped, by id, and when they will be killed by force. */
  readonly killing: Pick<ReadonlyMap<string, number>, 'get' | 'has'>;
  readonly verdict: (containerId: string) => ProbeVerdict;
  /** When the container may start again after its last exit; 0 for at once. */
  readonly crashBackOffUntilMs: (name: string, finishedAtMs: number) => number;
  /** After a failed try (image, configuration, sandbox): not before then. 0 for at once. */
  readonly heldUntilMs: (task: string) => number;
  /** The last attempt of a container whose instances were removed to start it anew; undefined for others. */
  readonly removedAttempt: (name: string) => number | undefined;
}

/** The sandbox's own entry in `busy` and `heldUntilMs`; no container can be named so. */
export const sandboxTask = '';

export type Action =
  | { readonly type: 'create-sandbox'; readonly attempt: number }
  | { readonly type: 'stop-sandbox'; readonly id: string }
  | {
      readonly type: 'start-container';
      readonly role: ContainerRole;
      readonly container: V1Container;
      readonly sandboxId: string;
      readonly attempt: number;
      readonly previous: ContainerStatus | undefined;
    }
  | {
      readonly type: 'kill-container';
      readonly instance: ContainerStatus;
      readonly deadlineMs: number;
      readonly reason: KillReason;
      readonly message: string;
    }
  /** All are to be started anew, from the first init container on: what is left of them goes. The trigger comes last. */
  | { readonly type: 'remove-instances'; readonly instances: readonly ContainerStatus[]; readonly trigger: ContainerStatus }
  /** Tell that the container waits for its back-off. */
  | {
      readonly type: 'back-off';
      readonly role: ContainerRole;
      readonly container: V1Container;
      readonly instance: ContainerStatus;
      readonly untilMs: number;
    };

export type KillReason = 'pod' | 'changed' | 'liveness' | 'startup' | 'restart-all';

export interface Plan {
  readonly actions: readonly Action[];
  /** Ask again then, even if nothing happens. */
  readonly wakeAtMs: number | undefined;
  /** `completed`: nothing will run any more, end the pod. `stopped`: a terminating pod has nothing left in the runtime. */
  readonly outcome: 'completed' | 'stopped' | undefined;
}

export function planPod(input: PlanInput): Plan {
  return input.termination ? planTermination(input, input.termination) : planRunning(input);
}

/** The sandbox the pod runs in: the newest one, when it is ready. */
export function currentSandbox(observed: ObservedPod): SandboxStatus | undefined {
  const newest = observed.sandboxes[0];
  return newest?.ready ? newest : undefined;
}

/** The newest instance of a container, in whichever sandbox. */
export function newestInstance(observed: ObservedPod, name: string): ContainerStatus | undefined {
  return observed.containers.find((container) => container.name === name);
}

/** One more than what the pod's status tells of an instance that the runtime has no more; 0 for the first. */
function nextAttempt({ pod: { status }, removedAttempt }: PlanInput, name: string): number {
  const before = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].find((candidate) => candidate.name === name);
  return Math.max(before?.containerID === undefined ? 0 : before.restartCount + 1, (removedAttempt(name) ?? -1) + 1);
}

function planRunning(input: PlanInput): Plan {
  const { pod, observed, nowMs, prepared, busy } = input;
  const draft = new PlanDraft(nowMs);
  const sandbox = currentSandbox(observed);
  if (!sandbox) {
    const attempt = (observed.sandboxes[0]?.attempt ?? -1) + 1;
    if (attempt > 0 && everythingIsDone(pod, observed)) return draft.end('completed');
    if (!prepared || busy.size > 0) return draft.end();
    // Containers of a dead sandbox may still run (its pause process was killed): they go first.
    for (const { id } of observed.sandboxes) {
      if (observed.containers.some((container) => container.sandboxId === id && container.state === 'running'))
        draft.act({ type: 'stop-sandbox', id });
    }
    if (draft.isEmpty() && draft.reached(input.heldUntilMs(sandboxTask))) draft.act({ type: 'create-sandbox', attempt });
    return draft.end();
  }
  if (!prepared) return draft.end();

  const inSandbox = observed.containers.filter((container) => container.sandboxId === sandbox.id);
  const trigger = restartTrigger(pod, inSandbox);
  if (trigger) return planRestartAll(input, draft, trigger);
  const step = (container: V1Container, role: ContainerRole): Standing => planContainer(input, draft, sandbox, inSandbox, container, role);

  const initialized = isInitialized(pod, inSandbox);
  for (const container of pod.spec.initContainers ?? []) {
    const role = isSidecar(container) ? 'sidecar' : 'init';
    if (initialized && role === 'init') continue;
    const standing = step(container, role);
    if (standing === 'failed') return draft.end('completed');
    if (!initialized && standing !== 'passed') return planEphemeral(input, draft, step);
  }
  let done = true;
  for (const container of pod.spec.containers) if (step(container, 'regular') === 'waiting') done = false;
  if (done) return draft.end('completed');
  return planEphemeral(input, draft, step);
}

/** As upstream, at once and without hooks: everything that is needed is in the pod still. */
function planRestartAll({ pod, observed, busy, killing, ...input }: PlanInput, draft: PlanDraft, trigger: ContainerStatus): Plan {
  const restarted = containersOf(pod).filter(({ role }) => role !== 'ephemeral');
  const instances = observed.containers.filter(({ name }) => restarted.some(({ spec }) => spec.name === name));
  const running = instances.filter(({ state }) => state === 'running');
  for (const instance of running) {
    if (!killing.has(instance.id)) draft.kill(instance, 0, 'restart-all', `Stopping container ${instance.name}`);
  }
  if (running.length > 0 || busy.size > 0) return draft.end();
  const untilMs = Math.max(input.crashBackOffUntilMs(trigger.name, trigger.finishedAtMs), input.heldUntilMs(trigger.name));
  const container = restarted.find(({ spec }) => spec.name === trigger.name);
  if (draft.reached(untilMs)) {
    draft.act({ type: 'remove-instances', instances: instances.filter(({ id }) => id !== trigger.id), trigger });
  } else if (container) draft.act({ type: 'back-off', role: container.role, container: container.spec, instance: trigger, untilMs });
  return draft.end();
}

function planEphemeral({ pod }: PlanInput, draft: PlanDraft, step: (container: V1Container, role: ContainerRole) => Standing): Plan {
  for (const container of pod.spec.ephemeralContainers ?? []) step(container, 'ephemeral');
  return draft.end();
}

/** `passed`: what comes after it may start (done, or a sidecar that is up). `failed`: ended for good, in error. `waiting`: neither yet. */
type Standing = 'passed' | 'failed' | 'waiting';

function planContainer(
  input: PlanInput,
  draft: PlanDraft,
  sandbox: SandboxStatus,
  inSandbox: readonly ContainerStatus[],
  container: V1Container,
  role: ContainerRole,
): Standing {
  const { pod, observed, busy, killing, verdict } = input;
  const { name } = container;
  if (busy.has(name)) return 'waiting';
  const instance = inSandbox.find((status) => status.name === name);
  const latest = newestInstance(observed, name);
  const start = (): Standing => {
    if (draft.reached(input.heldUntilMs(name))) {
      const attempt = latest === undefined ? nextAttempt(input, name) : latest.attempt + 1;
      draft.act({ type: 'start-container', role, container, sandboxId: sandbox.id, attempt, previous: latest });
    }
    return 'waiting';
  };
  if (!instance) {
    // A regular container that ended for good in an earlier sandbox is not run again.
    if (latest?.state === 'exited' && role !== 'init' && !mayRestart(pod, container, role, latest.exitCode))
      return latest.exitCode === 0 ? 'passed' : 'failed';
    return start();
  }

  switch (instance.state) {
    case 'running': {
      if (killing.has(instance.id)) return 'waiting';
      const { started, failed } = verdict(instance.id);
      const hash = instance.annotations[hashAnnotation];
      if (role !== 'ephemeral' && hash !== undefined && hash !== containerHash(container)) {
        draft.kill(instance, graceMs(pod, container, undefined), 'changed', `Container ${name} definition changed, will be restarted`);
      } else if (failed !== undefined) {
        draft.kill(instance, graceMs(pod, container, failed), failed, `Container ${name} failed ${failed} probe, will be restarted`);
      }
      return role === 'sidecar' && started ? 'passed' : 'waiting';
    }
    case 'exited':
      if (!mayRestart(pod, container, role, instance.exitCode)) return instance.exitCode === 0 ? 'passed' : 'failed';
      break;
    case 'created':
    case 'unknown':
      // Its start was interrupted (the kubelet died): another instance takes its place.
      if (role === 'ephemeral') return 'waiting';
      break;
  }
  const untilMs = input.crashBackOffUntilMs(name, instance.finishedAtMs);
  if (draft.reached(untilMs)) return start();
  draft.act({ type: 'back-off', role, container, instance, untilMs });
  return 'waiting';
}

function planTermination(input: PlanInput, { deadlineMs }: Termination): Plan {
  const { pod, observed, nowMs, busy, killing } = input;
  const draft = new PlanDraft(nowMs);
  const running = observed.containers.filter((container) => container.state === 'running');
  if (running.length > 0) {
    const sidecars = new Set((pod.spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
    // Sidecars outlive the containers they serve, and end in the reverse of the order they started in.
    const first = running.filter(({ name }) => !sidecars.has(name));
    const last = [...sidecars].toReversed().flatMap((name) => running.find((container) => container.name === name) ?? []);
    const next = first.length > 0 || nowMs >= deadlineMs ? (nowMs >= deadlineMs ? running : first) : last.slice(0, 1);
    for (const instance of next) {
      const current = killing.get(instance.id);
      if (current !== undefined && current <= deadlineMs) continue;
      draft.act({ type: 'kill-container', instance, deadlineMs, reason: 'pod', message: `Stopping container ${instance.name}` });
    }
    if (nowMs < deadlineMs && last.length > 0) draft.reached(deadlineMs);
    return draft.end();
  }
  if (busy.size > 0) return draft.end();
  const ready = observed.sandboxes.filter((sandbox) => sandbox.ready);
  if (ready.length === 0) return draft.end('stopped');
  if (draft.reached(input.heldUntilMs(sandboxTask))) for (const { id } of ready) draft.act({ type: 'stop-sandbox', id });
  return draft.end();
}

/** Init containers ran through in this sandbox: shown by any regular container having been created in it. */
function isInitialized(pod: Pod, inSandbox: readonly ContainerStatus[]): boolean {
  return pod.spec.containers.some(({ name }) => inSandbox.some((container) => container.name === name));
}

/** A pod whose sandbox is gone needs no other one when nothing in it would be started again. */
function everythingIsDone(pod: Pod, observed: ObservedPod): boolean {
  let failedInit = false;
  let allDone = true;
  for (const { role, spec } of containersOf(pod)) {
    if (role === 'ephemeral' || role === 'sidecar') continue;
    const latest = newestInstance(observed, spec.name);
    if (role === 'init') failedInit ||= latest?.state === 'exited' && latest.exitCode !== 0 && !mayRestart(pod, spec, role, latest.exitCode);
    else allDone &&= latest?.state === 'exited' && !mayRestart(pod, spec, role, latest.exitCode);
  }
  return failedInit || allDone;
}

function graceMs(pod: Pod, container: V1Container, probe: 'startup' | 'liveness' | undefined): number {
  const own = probe === 'startup' ? container.startupProbe : probe === 'liveness' ? container.livenessProbe : undefined;
  return (own?.terminationGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
}

class PlanDraft {
  readonly #actions: Action[] = [];
  readonly #nowMs: number;
  #wakeAtMs: number | undefined;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  act(action: Action): void {
    this.#actions.push(action);
  }

  kill(instance: ContainerStatus, graceMs: number, reason: KillReason, message: string): void {
    this.act({ type: 'kill-container', instance, deadlineMs: this.#nowMs + graceMs, reason, message });
  }

  isEmpty(): boolean {
    return this.#actions.length === 0;
  }

  /** True when that time has come; otherwise remembers to ask again then. */
  reached(atMs: number): boolean {
    if (atMs <= this.#nowMs) return true;
    this.#wakeAtMs = Math.min(this.#wakeAtMs ?? atMs, atMs);
    return false;
  }

  end(outcome?: Plan['outcome']): Plan {
    return { actions: this.#actions, wakeAtMs: this.#wakeAtMs, outcome };
  }
}
