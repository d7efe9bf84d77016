/** From a container's requests and limits to what the kernel takes: CPU shares and quota, a memory limit, an OOM score. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { type Quantity, parseQuantity } from '../machinery/quantity.ts';
import { oomScoreAdj } from './qos.ts';
import type { LinuxResources } from './runtime/runtime.ts';
import { isSidecar } from './pod-spec.ts';

const cpuPeriod = 100_000;
const minShares = 2;
const maxShares = 262_144;
const minQuota = 1000;

export function cpuShares(milliCpu: number): number {
  return milliCpu === 0 ? minShares : Math.min(maxShares, Math.max(minShares, Math.floor((milliCpu * 1024) / 1000)));
}

export function cpuQuota(milliCpu: number): number {
  return Math.max(minQuota, Math.floor((milliCpu * cpuPeriod) / 1000));
}

export function containerResources(pod: Pod, container: V1Container, nodeMemoryBytes: number): LinuxResources {
  const { requests = {}, limits = {} } = container.resources ?? {};
  // Whoever has no limit of its own is held to that of its pod.
  const ofPod = pod.spec.resources?.limits ?? {};
  const cpuLimit = milli(limits.cpu ?? ofPod.cpu);
  const memoryLimit = bytes(limits.memory ?? ofPod.memory);
  return {
    cpuShares: cpuShares(milli(requests.cpu ?? limits.cpu)),
    ...(cpuLimit > 0 && { cpuPeriod, cpuQuota: cpuQuota(cpuLimit) }),
    ...(memoryLimit > 0 && { memoryLimitBytes: memoryLimit }),
    oomScoreAdj: oomScoreAdj(pod, container, nodeMemoryBytes),
  };
}

/** The pod's cgroup: the sum of its containers; a limit only when every container has one. */
export function podResources(pod: Pod): LinuxResources {
  const cpu = podRequest(pod, 'cpu', milli);
  const cpuLimit = podLimit(pod, 'cpu', milli);
  const memoryLimit = podLimit(pod, 'memory', bytes);
  return {
    cpuShares: cpuShares(cpu),
    ...(cpuLimit !== undefined && { cpuPeriod, cpuQuota: cpuQuota(cpuLimit) }),
    ...(memoryLimit !== undefined && { memoryLimitBytes: memoryLimit }),
  };
}

/** What the pod asks for of one resource, as a number of `unit`s: regular containers and sidecars together, or one init container if that is more. */
export function podRequest(pod: Pod, name: string, unit: (text: string | undefined) => number): number {
  const own = pod.spec.resources?.requests?.[name];
  const overhead = unit(pod.spec.overhead?.[name]);
  if (own !== undefined) return unit(own) + overhead;
  return podTotal(pod, ({ resources }) => unit(resources?.requests?.[name] ?? resources?.limits?.[name])) + overhead;
}

function podLimit(pod: Pod, name: string, unit: (text: string | undefined) => number): number | undefined {
  const own = pod.spec.resources?.limits?.[name];
  if (own !== undefined) return unit(own);
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  if (!all.every(({ resources }) => unit(resources?.limits?.[name]) > 0)) return undefined;
  return podTotal(pod, ({ resources }) => unit(resources?.limits?.[name])) + unit(pod.spec.overhead?.[name]);
}

function podTotal(pod: Pod, amount: (container: V1Container) => number): number {
  let sidecars = 0;
  let init = 0;
  for (const container of pod.spec.initContainers ?? []) {
    if (isSidecar(container)) sidecars += amount(container);
    init = Math.max(init, isSidecar(container) ? sidecars : sidecars + amount(container));
  }
  return Math.max(init, sidecars + pod.spec.containers.reduce((sum, container) => sum + amount(container), 0));
}

export function milli(text: string | undefined): number {
  return quantity(text)?.milliValue() ?? 0;
}

export function bytes(text: string | undefined): number {
  return quantity(text)?.value() ?? 0;
}

function quantity(text: string | undefined): Quantity | undefined {
  return text === undefined ? undefined : parseQuantity(text);
}
