/**
 * Startup, liveness and readiness probes of one pod's running containers. A startup probe holds the other two back until it passed. Upstream: the
 * prober manager and its workers.
 */
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1ContainerStatus, V1Probe } from '../api/types.ts';
import { type HandlerTarget, messageOf, runHandler } from './handler.ts';
import type { ProbeVerdict } from './pod-plan.ts';
import { type ContainerRole, containersOf } from './pod-spec.ts';
import type { PodScope } from './pod-scope.ts';
import { type ProbeAttempt, ProbeWorker } from './probe-worker.ts';
import type { ContainerStatus } from './runtime/runtime.ts';

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

interface Instance {
  status: ContainerStatus;
  readonly container: V1Container;
  started: boolean;
  ready: boolean;
  failed: 'startup' | 'liveness' | undefined;
  /** None for a container without probes, as most simulated ones are. */
  workers: Map<ProbeKind, ProbeWorker> | undefined;
}

const unprobed: ProbeVerdict = { started: false, failed: undefined };

export class PodProbes {
  readonly #scope: PodScope;
  #instances: readonly Instance[] = [];
  #ending = false;

  constructor(scope: PodScope) {
    this.#scope = scope;
  }

  /** Starts what runs newly, ends what runs no more. `terminating` leaves only readiness. */
  sync(running: readonly ContainerStatus[], terminating: boolean): void {
    this.#ending = terminating;
    const before = this.#instances;
    const instances: Instance[] = [];
    for (const status of running) {
      if (status.state !== 'running') continue;
      const instance = before.find((known) => known.status.id === status.id) ?? this.#begin(status);
      if (!instance) continue;
      instance.status = status;
      instances.push(instance);
    }
    this.#instances = instances;
    for (const instance of instances) this.#startWorkers(instance);
    for (const instance of before) if (!instances.includes(instance)) stopAll(instance);
  }

  verdict(containerId: string): ProbeVerdict {
    return this.#instance(containerId) ?? unprobed;
  }

  ready(containerId: string): boolean {
    const instance = this.#instance(containerId);
    return instance !== undefined && instance.started && instance.ready;
  }

  close(): void {
    this.#instances.forEach(stopAll);
    this.#instances = [];
  }

  #instance(id: string): Instance | undefined {
    return this.#instances.find(({ status }) => status.id === id);
  }

  /** Undefined for a container that is not probed. */
  #begin(status: ContainerStatus): Instance | undefined {
    const { pod } = this.#scope;
    const found = containersOf(pod).find(({ spec }) => spec.name === status.name);
    if (!found || !isProbed(found.role)) return undefined;
    const container = found.spec;
    // A restarted kubelet believes what it said before, so that readiness does not flap.
    const said = saidBefore(pod, status);
    return {
      status,
      container,
      started: container.startupProbe === undefined || said?.started === true,
      ready: said?.ready ?? container.readinessProbe === undefined,
      failed: undefined,
      workers: undefined,
    };
  }

  #startWorkers(instance: Instance): void {
    const { container, started, failed } = instance;
    const mayFail = !this.#ending && failed === undefined;
    this.#want(instance, 'startup', container.startupProbe, !started && mayFail);
    this.#want(instance, 'liveness', container.livenessProbe, started && mayFail);
    this.#want(instance, 'readiness', container.readinessProbe, started);
  }

  #want(instance: Instance, kind: ProbeKind, probe: V1Probe | undefined, wanted: boolean): void {
    const worker = instance.workers?.get(kind);
    if (probe && wanted && !worker) (instance.workers ??= new Map()).set(kind, this.#probeWorker(instance, kind, probe));
    if (wanted || !worker) return;
    worker.stop();
    instance.workers?.delete(kind);
  }

  #settle(instance: Instance, kind: ProbeKind, ok: boolean): void {
    const { started, ready, failed } = instance;
    if (kind === 'readiness') instance.ready = ok;
    else if (!ok) instance.failed = kind;
    else if (kind === 'startup') instance.started = true;
    if (started === instance.started && ready === instance.ready && failed === instance.failed) return;
    this.#startWorkers(instance);
    this.#scope.wake();
  }

  #probeWorker(instance: Instance, kind: ProbeKind, probe: V1Probe): ProbeWorker {
    return new ProbeWorker({
      clock: this.#scope.context.world.clock,
      probe,
      firstMs: instance.status.startedAtMs,
      attempt: () => this.#attempt(instance, probe),
      told: (attempt) => this.#tell(instance, kind, attempt),
      settled: (ok) => this.#settle(instance, kind, ok),
    });
  }

  #tell({ container }: Instance, kind: ProbeKind, { problem, isKnown }: ProbeAttempt): void {
    const { context, pod } = this.#scope;
    const { namespace, name, uid: podUid } = pod.metadata;
    const result = problem === undefined ? 'successful' : isKnown ? 'failed' : 'unknown';
    context.counters.probe({ namespace, pod: name, podUid, container: container.name }, kind, result);
    if (problem === undefined) return;
    const title = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
    context.tell(pod, 'Warning', 'Unhealthy', `${title} probe ${problem}`, container.name);
  }

  async #attempt({ container, status }: Instance, probe: V1Probe): Promise<ProbeAttempt> {
    const { context, pod, podIps } = this.#scope;
    const { runtime, network } = context;
    const target: HandlerTarget = { runtime, network, pod, container, instance: status, podIp: podIps[0] ?? '' };
    try {
      const { problem } = await runHandler(probe, target, (probe.timeoutSeconds ?? 1) * 1000);
      return { isKnown: true, ...(problem !== undefined && { problem: `failed: ${problem}` }) };
    } catch (error) {
      const message = messageOf(error);
      if (/deadline ?exceeded|timed out/i.test(message)) return { isKnown: true, problem: `failed: command timed out: ${message}` };
      return { isKnown: false, problem: `errored and resulted in unknown state: ${message}` };
    }
  }
}

function stopAll({ workers }: Instance): void {
  for (const worker of workers?.values() ?? []) worker.stop();
}

function isProbed(role: ContainerRole): boolean {
  return role === 'regular' || role === 'sidecar';
}

function saidBefore(pod: Pod, { id }: ContainerStatus): V1ContainerStatus | undefined {
  const all = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])];
  return all.find(({ containerID, state }) => state?.running !== undefined && containerID?.endsWith(`//${id}`));
}
