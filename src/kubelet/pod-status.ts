/**
 * Words what the runtime has as the pod's status: container states, phase, conditions, addresses. A pure function of what it is given. Upstream:
 * `generateAPIPodStatus` and `getPhase`.
 */
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1ContainerState, V1ContainerStatus, V1PodCondition, V1PodStatus, V1ResourceRequirements } from '../api/types.ts';
import { timestamp } from '../world/world.ts';
import type { ObservedPod } from './observed-pods.ts';
import { podConditions } from './pod-conditions.ts';
import { currentSandbox, newestInstance } from './pod-plan.ts';
import { type ContainerRole, isSidecar, isTerminalPhase } from './pod-spec.ts';
import { couldRestartAll, mayRestart, restartTrigger } from './restart-rules.ts';
import type { ContainerStatus } from './runtime/runtime.ts';
import { qosClass } from './qos.ts';

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

/** Why the kubelet itself ended or refused a pod. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
  /** The pod did nothing wrong: the node took its place away. */
  readonly disrupted?: boolean;
}

export interface StatusInput {
  readonly pod: Pod;
  readonly observed: ObservedPod;
  readonly nowMs: number;
  /** `containerd`, the scheme of container ids. */
  readonly runtimeName: string;
  readonly hostIps: readonly string[];
  /** The last status this kubelet made, or the API's. */
  readonly previous: V1PodStatus;
  /** Why a container is not running, where the kubelet knows better than `ContainerCreating`. */
  readonly waiting: (container: string) => Waiting | undefined;
  /** Its postStart hook has not come to an end: it does not count as running yet. */
  readonly hooked: (container: string) => boolean;
  readonly started: (instance: ContainerStatus) => boolean;
  readonly ready: (instance: ContainerStatus) => boolean;
  readonly terminationMessage: (instance: ContainerStatus) => string;
  /** Nothing of the pod runs any more, nor will. */
  readonly ended: boolean;
  /** Set when the kubelet itself ended or refused the pod. */
  readonly verdict: Verdict | undefined;
  /** What a running instance has, when it is not what its spec says; undefined otherwise. */
  readonly resources?: (instance: ContainerStatus) => V1ResourceRequirements | undefined;
  /** Its instances were removed to start it anew, and it has not been started yet. */
  readonly startsAnew?: (container: string) => boolean;
  /** What the pod as a whole has, where that is limited. */
  readonly whole?: V1ResourceRequirements | undefined;
  /** A resize that waits or is under way. */
  readonly resize?: readonly Pick<V1PodCondition, 'type' | 'status' | 'reason' | 'message'>[];
}

export function podStatus(input: StatusInput): V1PodStatus {
  const { pod, observed, previous, hostIps, nowMs, verdict } = input;
  const { initContainers = [], containers, ephemeralContainers = [] } = pod.spec;
  const statusOf = (role: (spec: V1Container) => ContainerRole) => (spec: V1Container) => containerStatus(input, spec, role(spec));
  const initStatuses = initContainers.map(statusOf((spec) => (isSidecar(spec) ? 'sidecar' : 'init')));
  const statuses = containers.map(statusOf(() => 'regular'));
  const ephemeralStatuses = ephemeralContainers.map(statusOf(() => 'ephemeral'));

  const added = podPhase(pod, initStatuses, statuses, input.ended);
  // Nobody is told that a pod is over while a sidecar still comes to its end.
  const tooEarly = isTerminalPhase(added) && observed.containers.some(({ state }) => state === 'running');
  const phase = verdict ? 'Failed' : isTerminalPhase(previous.phase) || tooEarly ? (previous.phase ?? 'Running') : added;
  const sandbox = observed.sandboxes[0];
  const refused = verdict !== undefined && !sandbox && previous.podIP === undefined && observed.containers.length === 0;
  const ips = pod.spec.hostNetwork === true ? (sandbox ? hostIps : []) : (sandbox?.ips ?? []);
  const podIps = ips.length > 0 ? ips.map((ip) => ({ ip })) : previous.podIPs;
  const conditions = podConditions({
    pod,
    phase,
    initStatuses,
    statuses,
    sandboxReady: currentSandbox(observed) !== undefined,
    ...(couldRestartAll(pod) && { restartsAll: restartTrigger(pod, observed.containers) !== undefined }),
    wasInitialized: containers.some(({ name }) => newestInstance(observed, name) !== undefined),
  });
  const reason = verdict?.reason ?? (isTerminalPhase(phase) ? previous.reason : undefined);
  const message = verdict?.message ?? (isTerminalPhase(phase) ? previous.message : undefined);
  return {
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    conditions: [...(input.resize ?? []), ...conditions, ...disruption(verdict)].map((condition) => timed(condition, pod, previous, nowMs)),
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
    ...(hostIps[0] !== undefined && { hostIP: hostIps[0], hostIPs: hostIps.map((ip) => ({ ip })) }),
    ...(podIps?.[0] !== undefined && { podIP: podIps[0].ip, podIPs: podIps }),
    startTime: previous.startTime ?? timestamp(nowMs),
    // A pod that was refused has no containers to speak of.
    ...(!refused && initStatuses.length > 0 && { initContainerStatuses: initStatuses }),
    ...(!refused && { containerStatuses: statuses }),
    ...(ephemeralStatuses.length > 0 && { ephemeralContainerStatuses: ephemeralStatuses }),
    qosClass: previous.qosClass ?? qosClass(pod),
    ...(pod.spec.resources?.requests && { allocatedResources: pod.spec.resources.requests }),
    ...(input.whole && { resources: input.whole }),
  };
}

function disruption(verdict: Verdict | undefined): Pick<V1PodCondition, 'type' | 'status' | 'reason' | 'message'>[] {
  if (verdict?.disrupted !== true) return [];
  return [{ type: 'DisruptionTarget', status: 'True', reason: 'TerminationByKubelet', message: verdict.message }];
}

function timed(
  condition: Pick<V1PodCondition, 'type' | 'status' | 'reason' | 'message'>,
  pod: Pod,
  previous: V1PodStatus,
  nowMs: number,
): V1PodCondition {
  const before = previous.conditions?.find(({ type }) => type === condition.type);
  const unchanged = before?.status === condition.status;
  return {
    ...condition,
    lastTransitionTime: unchanged && before.lastTransitionTime !== undefined ? before.lastTransitionTime : timestamp(nowMs),
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
  };
}

function containerStatus(input: StatusInput, spec: V1Container, role: ContainerRole): V1ContainerStatus {
  const { observed, runtimeName } = input;
  const instance = newestInstance(observed, spec.name);
  const previously = statusBefore(input.previous, spec.name);
  const before = instance || input.startsAnew?.(spec.name) === true ? undefined : endBefore(input, spec, role, previously);
  if (before) return before;
  const waiting = input.waiting(spec.name);
  const isRunning = instance?.state === 'running' && !input.hooked(spec.name);
  const state = instance && (isRunning || instance.state !== 'running') ? stateOf(input, instance) : undefined;
  const ended = state?.terminated;
  const isOver = ended !== undefined && !mayRestart(input.pod, spec, role, ended.exitCode);
  // A container that waits to be started again shows why; how it last ended moves to `lastState`.
  const showsWaiting = state?.running === undefined && !input.ended && !isOver && (waiting !== undefined || state === undefined);
  const older = instance && observed.containers.find((other) => other.name === spec.name && other.id !== instance.id && other.state === 'exited');
  const id = instance && `${runtimeName}://${instance.id}`;
  const lastState = showsWaiting && ended ? { terminated: ended } : older ? stateOf(input, older) : lastStateBefore(previously, id);
  const resources = instance && (input.resources?.(instance) ?? spec.resources);
  const started = isRunning && (role === 'init' || input.started(instance));
  return {
    name: spec.name,
    state: showsWaiting || state === undefined ? { waiting: wire(waiting ?? waitsByDefault(input.pod, role)) } : state,
    lastState,
    ready: role === 'init' ? ended?.exitCode === 0 : isRunning && role !== 'ephemeral' && input.ready(instance),
    restartCount: instance?.attempt ?? previously?.restartCount ?? 0,
    image: instance && instance.image !== '' && !instance.image.startsWith('sha256:') ? instance.image : (spec.image ?? ''),
    imageID: instance?.imageRef ?? '',
    ...(id !== undefined && { containerID: id }),
    started,
    ...(instance?.user && { user: { linux: { ...instance.user, supplementalGroups: [...instance.user.supplementalGroups] } } }),
    ...(isRunning && spec.resources?.requests !== undefined && { allocatedResources: spec.resources.requests }),
    ...(isRunning && (resources?.requests !== undefined || resources?.limits !== undefined) && { resources }),
    ...(spec.volumeMounts !== undefined && {
      volumeMounts: spec.volumeMounts.map(({ name, mountPath, readOnly }) => ({
        name,
        mountPath,
        ...(readOnly === true && { readOnly, recursiveReadOnly: isRecursive(instance, mountPath) ? 'Enabled' : 'Disabled' }),
      })),
    }),
  };
}

function isRecursive(instance: ContainerStatus | undefined, mountPath: string): boolean {
  return instance?.mounts.some(({ containerPath, recursiveReadOnly }) => containerPath === mountPath && recursiveReadOnly === true) === true;
}

function statusBefore({ initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] }: V1PodStatus, container: string) {
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses].find(({ name }) => name === container);
}

/** How it ended, as it was written before: its instance is removed, and there will be no other. */
function endBefore(
  { pod, previous }: StatusInput,
  spec: V1Container,
  role: ContainerRole,
  before: V1ContainerStatus | undefined,
): V1ContainerStatus | undefined {
  const end = before?.state?.terminated;
  if (!end) return undefined;
  const isOver = isTerminalPhase(previous.phase) || pod.metadata.deletionTimestamp !== undefined || !mayRestart(pod, spec, role, end.exitCode);
  return isOver ? before : undefined;
}

/** How the instance before this one ended, as it was written before: the instance itself may be cleaned away. */
function lastStateBefore(before: V1ContainerStatus | undefined, containerId: string | undefined): V1ContainerState {
  const { state, lastState } = before ?? {};
  const end = before?.containerID === containerId ? lastState?.terminated : (state?.terminated ?? lastState?.terminated);
  return end && end.containerID !== containerId ? { terminated: end } : {};
}

function wire({ reason, message }: Waiting): { reason: string; message?: string } {
  return message === undefined ? { reason } : { reason, message };
}

function waitsByDefault(pod: Pod, role: ContainerRole): Waiting {
  return { reason: role !== 'ephemeral' && (pod.spec.initContainers?.length ?? 0) > 0 ? 'PodInitializing' : 'ContainerCreating' };
}

/** Undefined for an instance that was created but never ran. */
function stateOf(input: StatusInput, instance: ContainerStatus): V1ContainerState | undefined {
  switch (instance.state) {
    case 'running':
      return { running: { startedAt: timestamp(instance.startedAtMs) } };
    case 'exited': {
      const message = input.terminationMessage(instance);
      return {
        terminated: {
          exitCode: instance.exitCode,
          reason: instance.reason === '' ? (instance.exitCode === 0 ? 'Completed' : 'Error') : instance.reason,
          ...(message !== '' && { message }),
          startedAt: timestamp(instance.startedAtMs),
          finishedAt: timestamp(instance.finishedAtMs),
          containerID: `${input.runtimeName}://${instance.id}`,
        },
      };
    }
    case 'unknown':
      return {
        terminated: {
          exitCode: 137,
          reason: 'ContainerStatusUnknown',
          message: 'The container could not be located when the pod was terminated',
          containerID: `${input.runtimeName}://${instance.id}`,
        },
      };
    case 'created':
      return undefined;
  }
}

/** The phase that container states add up to. `ended`: nothing of the pod runs any more, nor will. */
export function podPhase(pod: Pod, initStatuses: readonly V1ContainerStatus[], statuses: readonly V1ContainerStatus[], ended: boolean): string {
  let pendingInit = 0;
  let failedInit = 0;
  for (const container of pod.spec.initContainers ?? []) {
    const status = initStatuses.find(({ name }) => name === container.name);
    if (isSidecar(container)) {
      if (status?.started !== true && status?.state?.terminated === undefined && status?.lastState?.terminated === undefined) pendingInit++;
      continue;
    }
    const end = status?.state?.terminated ?? (status?.state?.waiting ? status.lastState?.terminated : undefined);
    if (end && end.exitCode !== 0 && !mayRestart(pod, container, 'init', end.exitCode)) failedInit++;
    else if (end?.exitCode !== 0) pendingInit++;
  }
  let running = 0;
  let waiting = 0;
  let stopped = 0;
  let succeeded = 0;
  let restarting = 0;
  for (const { name, state, lastState } of statuses) {
    const end = state?.terminated ?? (state?.waiting ? lastState?.terminated : undefined);
    if (state?.running) running++;
    else if (end) {
      stopped++;
      if (end.exitCode === 0) succeeded++;
      const container = pod.spec.containers.find((candidate) => candidate.name === name);
      if (container && mayRestart(pod, container, 'regular', end.exitCode)) restarting++;
    } else waiting++;
  }
  if (ended && running === 0) return stopped > 0 && stopped === succeeded && waiting === 0 ? 'Succeeded' : 'Failed';
  if (failedInit > 0) return 'Failed';
  if ((pendingInit > 0 && running + stopped === 0) || waiting > 0) return 'Pending';
  if (running > 0 || restarting > 0) return 'Running';
  return stopped === succeeded ? 'Succeeded' : 'Failed';
}
