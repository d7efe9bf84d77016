/**
 * The resources of one pod as they change while it runs: what its spec asks for, what the node has granted, and what its containers have got. They differ
 * while a resize waits for room or is under way. Upstream: the kubelet's allocation manager and the resize part of `SyncPod`.
 */
import type { Node, Pod } from '../../api/kinds.ts';
import type { V1Container, V1PodCondition, V1PodStatus, V1ResourceRequirements } from '../../api/types.ts';
import { isSidecar } from '../pod-spec.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';
import { type ContainerChange, changedResources, containerChange } from './container-change.ts';
import { type ResizeVerdict, decideResize } from './decide-resize.ts';

type ResizeCondition = Pick<V1PodCondition, 'type' | 'status' | 'reason' | 'message'>;

export interface ResizeStep {
  readonly container: V1Container;
  readonly instance: ContainerStatus;
  readonly change: Exclude<ContainerChange, 'none'>;
}

export interface ResizeNews {
  readonly type: 'Normal' | 'Warning';
  readonly reason: 'ResizeStarted' | 'ResizeCompleted' | 'ResizeDeferred' | 'ResizeInfeasible' | 'ResizeError';
  readonly message: string;
}

/** The pod's own entry among its containers; none can be named so. */
const wholePod = '';

export class PodResize {
  #pod: Pod;
  /** By container, and for the pod as a whole, where it is not what the spec says. */
  #granted: ReadonlyMap<string, V1ResourceRequirements | undefined> | undefined;
  #effective: Pod;
  /** What each running instance has, by its id. */
  readonly #got = new Map<string, V1ResourceRequirements | undefined>();
  #pending: { readonly reason: 'Deferred' | 'Infeasible'; readonly message: string } | undefined;
  #underWay: boolean;
  #problem: string | undefined;
  /** What the pod as a whole has. */
  #gotWhole: V1ResourceRequirements | undefined;

  /** After a restart of the kubelet the status tells what was granted before. */
  constructor(pod: Pod) {
    this.#pod = pod;
    this.#effective = pod;
    this.#underWay = has(pod.status, 'PodResizeInProgress');
    if (has(pod.status, 'PodResizePending'))
      this.#grant(new Map([...resourcesOf(pod).keys()].map((name) => [name, shownResources(pod.status, name)])));
    this.#gotWhole = this.#underWay ? pod.status.resources : this.#effective.spec.resources;
  }

  /** The pod with the resources that the node has granted: what it is run, counted and killed by. */
  get effective(): Pod {
    return this.#effective;
  }

  /** The spec asks for what was not granted yet. */
  get isAsked(): boolean {
    return this.#granted !== undefined;
  }

  get isWaiting(): boolean {
    return this.#pending?.reason === 'Deferred';
  }

  update(pod: Pod): void {
    const before = this.#granted ?? resourcesOf(this.#pod);
    const isUnchanged = !this.#granted && pod.spec === this.#pod.spec;
    const isSame = isUnchanged || sameResources(before, resourcesOf(pod));
    this.#pod = pod;
    this.#grant(isSame ? undefined : before);
    if (isSame) this.#pending = undefined;
  }

  /** Grants what the spec asks for if there is room, and no obstacle; answers what is to be told of it. */
  decide(node: Node, others: readonly Pod[], obstacle?: string): ResizeNews | undefined {
    if (!this.#granted) return undefined;
    const verdict: ResizeVerdict = obstacle === undefined ? decideResize(this.#pod, node, others) : { outcome: 'Infeasible', message: obstacle };
    if (verdict.outcome === 'accepted') {
      this.#grant(undefined);
      this.#pending = undefined;
      this.#underWay = true;
      this.#problem = undefined;
      return { type: 'Normal', reason: 'ResizeStarted', message: `Pod resize started: ${this.#described()}` };
    }
    const isNew = this.#pending?.reason !== verdict.outcome || this.#pending.message !== verdict.message;
    this.#pending = { reason: verdict.outcome, message: verdict.message };
    if (!isNew) return undefined;
    return { type: 'Warning', reason: `Resize${verdict.outcome}`, message: `Pod resize ${verdict.outcome}: ${this.#described(verdict.message)}` };
  }

  /** What running instances still lack. */
  steps(running: readonly ContainerStatus[]): readonly ResizeStep[] {
    for (const id of this.#got.keys()) if (!running.some((instance) => instance.id === id)) this.#got.delete(id);
    if (!this.#underWay || this.#granted) return [];
    const wholeChanges = changedResources(this.#gotWhole, this.#effective.spec.resources);
    return running.flatMap((instance): ResizeStep[] => {
      const container = resizable(this.#effective).find(({ name }) => name === instance.name);
      if (!container) return [];
      // A kubelet that was restarted in the middle does not know: limits are set once more, which harms nothing.
      const own = this.#got.has(instance.id) ? containerChange(container, this.#got.get(instance.id), container.resources) : 'update';
      // Whoever has no limit of its own has that of the pod.
      const change = own === 'none' && wholeChanges.some((name) => container.resources?.limits?.[name] === undefined) ? 'update' : own;
      return change === 'none' ? [] : [{ container, instance, change }];
    });
  }

  /** An instance was started with, or has been given, what this container says. */
  given(instanceId: string, { resources }: V1Container): void {
    this.#got.set(instanceId, resources);
  }

  /** Before a change that has to be told apart from what instances have, when their start was not seen. */
  remember(running: readonly ContainerStatus[]): void {
    if (this.#underWay) return;
    const containers = resizable(this.#effective);
    for (const { id, name } of running) {
      if (!this.#got.has(id)) this.#got.set(id, containers.find((container) => container.name === name)?.resources);
    }
  }

  failed(message: string): ResizeNews | undefined {
    if (this.#problem === message) return undefined;
    this.#problem = message;
    return { type: 'Warning', reason: 'ResizeError', message: `Pod resize error: ${this.#described(message)}` };
  }

  /** Nothing is left to do. */
  completed(): ResizeNews | undefined {
    if (!this.#underWay) return undefined;
    this.#underWay = false;
    this.#problem = undefined;
    this.#gotWhole = this.#effective.spec.resources;
    return { type: 'Normal', reason: 'ResizeCompleted', message: `Pod resize completed: ${this.#described()}` };
  }

  get isUnderWay(): boolean {
    return this.#underWay && !this.#granted;
  }

  /** What the instance has; undefined when it has what was granted. */
  resourcesOf(instanceId: string): V1ResourceRequirements | undefined {
    return this.#got.get(instanceId);
  }

  /** What the pod as a whole has; undefined where that is not limited. */
  get whole(): V1ResourceRequirements | undefined {
    return this.#underWay ? this.#gotWhole : this.#effective.spec.resources;
  }

  conditions(): readonly ResizeCondition[] {
    const conditions: ResizeCondition[] = [];
    if (this.#pending) conditions.push({ type: 'PodResizePending', status: 'True', ...this.#pending });
    if (this.#underWay) {
      const problem = this.#problem === undefined ? {} : { reason: 'Error', message: this.#problem };
      conditions.push({ type: 'PodResizeInProgress', status: 'True', ...problem });
    }
    return conditions;
  }

  #grant(granted: ReadonlyMap<string, V1ResourceRequirements | undefined> | undefined): void {
    this.#granted = granted;
    this.#effective = granted ? withResources(this.#pod, granted) : this.#pod;
  }

  #described(error?: string): string {
    const { resources } = this.#pod.spec;
    const containers = this.#pod.spec.containers.map((container) => ({ name: container.name, resources: container.resources }));
    return JSON.stringify({
      ...(resources && { resources }),
      containers,
      generation: this.#pod.metadata.generation,
      ...(error !== undefined && { error }),
    });
  }
}

/** The containers whose resources may change: regular ones and sidecars. */
function resizable({ spec }: Pod): readonly V1Container[] {
  return [...(spec.initContainers ?? []).filter(isSidecar), ...spec.containers];
}

function resourcesOf(pod: Pod): ReadonlyMap<string, V1ResourceRequirements | undefined> {
  return new Map([[wholePod, pod.spec.resources], ...resizable(pod).map(({ name, resources }) => [name, resources] as const)]);
}

function sameResources(
  a: ReadonlyMap<string, V1ResourceRequirements | undefined>,
  b: ReadonlyMap<string, V1ResourceRequirements | undefined>,
): boolean {
  return [...b].every(([name, resources]) => changedResources(a.get(name), resources).length === 0);
}

function withResources(pod: Pod, granted: ReadonlyMap<string, V1ResourceRequirements | undefined>): Pod {
  const given = (container: V1Container): V1Container => {
    if (!granted.has(container.name)) return container;
    const { resources: _, ...rest } = container;
    const resources = granted.get(container.name);
    return resources ? { ...rest, resources } : rest;
  };
  const { initContainers, containers, resources: _, ...rest } = pod.spec;
  const whole = granted.get(wholePod);
  const spec = { ...rest, ...(whole && { resources: whole }), ...(initContainers && { initContainers: initContainers.map(given) }) };
  return { ...pod, spec: { ...spec, containers: containers.map(given) } };
}

function shownResources(status: V1PodStatus, name: string): V1ResourceRequirements | undefined {
  if (name === wholePod) return status.resources;
  const { containerStatuses = [], initContainerStatuses = [] } = status;
  return [...containerStatuses, ...initContainerStatuses].find((candidate) => candidate.name === name)?.resources;
}

function has({ conditions = [] }: V1PodStatus, type: string): boolean {
  return conditions.some((condition) => condition.type === type && condition.status === 'True');
}
