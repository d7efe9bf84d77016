/**
 * Startup, liveness and readiness probes of one pod's running containers. A startup probe holds the other two back until it passed. Upstream: the
 * prober manager and its workers.
 */
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1ContainerStatus, V1Probe } from '../api/types.ts';
import type { Timer, World } from '../world/world.ts';
import { type HandlerTarget, messageOf, runHandler } from './handler.ts';
import type { ProbeVerdict } from './pod-plan.ts';
import { type ContainerRole, containersOf } from './pod-spec.ts';
import type { ProbeNetwork } from './runtime/probe-network.ts';
import type { ProbeResult } from './stats/kubelet-counters.ts';
import type { ContainerRuntime, ContainerStatus } from './runtime/runtime.ts';

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

export interface PodProbesOptions {
  readonly world: World;
  readonly runtime: ContainerRuntime;
  readonly network: ProbeNetwork;
  readonly podIp: () => string;
  readonly onChange: () => void;
  readonly tell: (container: V1Container, message: string) => void;
  /** Counts every attempt. */
  readonly onAttempt?: (container: V1Container, kind: ProbeKind, result: ProbeResult) => void;
}

export interface PodProbes {
  /** Starts what runs newly, ends what runs no more. `terminating` leaves only readiness. */
  sync(pod: Pod, instances: readonly ContainerStatus[], terminating: boolean): void;
  verdict(containerId: string): ProbeVerdict;
  ready(containerId: string): boolean;
  close(): void;
}

interface Instance {
  status: ContainerStatus;
  readonly container: V1Container;
  started: boolean;
  ready: boolean;
  failed: 'startup' | 'liveness' | undefined;
  readonly workers: Map<ProbeKind, Worker>;
}

interface Worker {
  stop(): void;
}

const unprobed: ProbeVerdict = { started: false, failed: undefined };

export function createPodProbes({ world, runtime, network, podIp, onChange, tell, onAttempt }: PodProbesOptions): PodProbes {
  const instances = new Map<string, Instance>();
  let current: Pod | undefined;
  let ending = false;

  function begin(pod: Pod, status: ContainerStatus, container: V1Container): Instance {
    // A restarted kubelet believes what it said before, so that readiness does not flap.
    const said = saidBefore(pod, status);
    const instance: Instance = {
      status,
      container,
      started: container.startupProbe === undefined || said?.started === true,
      ready: said?.ready ?? container.readinessProbe === undefined,
      failed: undefined,
      workers: new Map(),
    };
    return instance;
  }

  function startWorkers(instance: Instance): void {
    const { container, started, workers } = instance;
    const want = (kind: ProbeKind, probe: V1Probe | undefined, wanted: boolean): void => {
      const worker = workers.get(kind);
      if (probe && wanted && !worker) workers.set(kind, probeWorker(instance, kind, probe));
      if (!wanted && worker) {
        worker.stop();
        workers.delete(kind);
      }
    };
    want('startup', container.startupProbe, !started && !ending && instance.failed === undefined);
    want('liveness', container.livenessProbe, started && !ending && instance.failed === undefined);
    want('readiness', container.readinessProbe, started);
  }

  function settle(instance: Instance, kind: ProbeKind, ok: boolean): void {
    const { started, ready, failed } = instance;
    if (kind === 'readiness') instance.ready = ok;
    else if (!ok) instance.failed = kind;
    else if (kind === 'startup') instance.started = true;
    if (started === instance.started && ready === instance.ready && failed === instance.failed) return;
    startWorkers(instance);
    onChange();
  }

  function probeWorker(instance: Instance, kind: ProbeKind, probe: V1Probe): Worker {
    const { initialDelaySeconds = 0, periodSeconds = 10, timeoutSeconds = 1, successThreshold = 1, failureThreshold = 3 } = probe;
    let stopped = false;
    let timer: Timer | undefined;
    let successes = 0;
    let failures = 0;

    const round = async (): Promise<void> => {
      const startMs = world.clock.now();
      const { problem, isKnown } = await attempt(instance, probe, timeoutSeconds * 1000);
      if (stopped) return;
      onAttempt?.(instance.container, kind, problem === undefined ? 'successful' : isKnown ? 'failed' : 'unknown');
      if (problem !== undefined) tell(instance.container, `${kind.charAt(0).toUpperCase()}${kind.slice(1)} probe ${problem}`);
      if (isKnown && problem === undefined) {
        successes++;
        failures = 0;
        if (successes >= successThreshold) settle(instance, kind, true);
      } else if (isKnown) {
        failures++;
        successes = 0;
        if (failures >= failureThreshold) settle(instance, kind, false);
      }
      if (!stopped) schedule(startMs + periodSeconds * 1000);
    };
    const schedule = (atMs: number): void => {
      timer = world.clock.after(Math.max(0, atMs - world.clock.now()), () => void round());
    };
    schedule(instance.status.startedAtMs + initialDelaySeconds * 1000);
    return {
      stop() {
        stopped = true;
        timer?.cancel();
      },
    };
  }

  /**
   * `problem` is absent when all is well, otherwise `failed: …` or `errored …`. A probe that could not be carried out (a runtime that is being restarted) says
   * nothing of the container: it counts neither way, as upstream.
   */
  async function attempt(instance: Instance, probe: V1Probe, timeoutMs: number): Promise<{ problem?: string; isKnown: boolean }> {
    if (!current) return { isKnown: false };
    const target: HandlerTarget = { runtime, network, pod: current, container: instance.container, instance: instance.status, podIp: podIp() };
    try {
      const { problem } = await runHandler(probe, target, timeoutMs);
      return { isKnown: true, ...(problem !== undefined && { problem: `failed: ${problem}` }) };
    } catch (error) {
      const message = messageOf(error);
      if (/deadline ?exceeded|timed out/i.test(message)) return { isKnown: true, problem: `failed: command timed out: ${message}` };
      return { isKnown: false, problem: `errored and resulted in unknown state: ${message}` };
    }
  }

  return {
    sync(pod, running, terminating) {
      current = pod;
      ending = terminating;
      const live = new Set<string>();
      for (const status of running) {
        if (status.state !== 'running') continue;
        let instance = instances.get(status.id);
        if (!instance) {
          const found = containersOf(pod).find(({ spec }) => spec.name === status.name);
          if (!found || !isProbed(found.role)) continue;
          instances.set(status.id, (instance = begin(pod, status, found.spec)));
        }
        instance.status = status;
        live.add(status.id);
        startWorkers(instance);
      }
      for (const [id, { workers }] of instances) {
        if (live.has(id)) continue;
        for (const worker of workers.values()) worker.stop();
        instances.delete(id);
      }
    },
    verdict: (id) => instances.get(id) ?? unprobed,
    ready(id) {
      const instance = instances.get(id);
      return instance !== undefined && instance.started && instance.ready;
    },
    close() {
      for (const { workers } of instances.values()) for (const worker of workers.values()) worker.stop();
      instances.clear();
    },
  };
}

function isProbed(role: ContainerRole): boolean {
  return role === 'regular' || role === 'sidecar';
}

function saidBefore(pod: Pod, { id }: ContainerStatus): V1ContainerStatus | undefined {
  const all = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])];
  return all.find(({ containerID, state }) => state?.running !== undefined && containerID?.endsWith(`//${id}`));
}
