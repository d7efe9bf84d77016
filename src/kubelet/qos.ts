/** The three qualities of service, from requests and limits alone, and what they mean to the kernel's out-of-memory killer. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { type Quantity, parseQuantity } from '../machinery/quantity.ts';
import { isSidecar } from './pod-spec.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const counted = ['cpu', 'memory'] as const;

/** Guaranteed: every container has limits for cpu and memory equal to its requests. BestEffort: none has either. */
export function qosClass(pod: Pod): QosClass {
  const podLevel = pod.spec.resources;
  const holders = podLevel?.requests || podLevel?.limits ? [{ resources: podLevel }] : [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  let any = false;
  let guaranteed = true;
  for (const { resources } of holders) {
    for (const name of counted) {
      const limit = positive(resources?.limits?.[name]);
      const request = positive(resources?.requests?.[name]) ?? limit;
      if (limit !== undefined || request !== undefined) any = true;
      if (limit === undefined || request === undefined || limit.compare(request) !== 0) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function positive(text: string | undefined): Quantity | undefined {
  if (text === undefined) return undefined;
  const quantity = parseQuantity(text);
  return quantity.isZero() ? undefined : quantity;
}

/** Guaranteed pods are killed last, best-effort first, burstable by how much of the node's memory they asked for. */
export function oomScoreAdj(pod: Pod, container: V1Container, nodeMemoryBytes: number): number {
  if (pod.spec.priorityClassName === 'system-node-critical' || (pod.spec.priority ?? 0) >= 2_000_001_000) return -997;
  switch (qosClass(pod)) {
    case 'Guaranteed':
      return -997;
    case 'BestEffort':
      return 1000;
    case 'Burstable': {
      const spare = spareMemoryPerContainer(pod);
      const scoreOf = (bytes: number): number => 1000 - Math.floor((1000 * (bytes + spare)) / nodeMemoryBytes);
      const own = scoreOf(memoryRequest(container));
      // A sidecar is as safe as the containers it serves.
      const score = isSidecar(container) ? Math.min(own, scoreOf(Math.min(...pod.spec.containers.map(memoryRequest)))) : own;
      // Never as safe as a guaranteed pod, never as exposed as a best-effort one.
      return score < 3 ? 3 : Math.min(score, 999);
    }
  }
}

/** What the pod asks for as a whole and its containers do not ask for themselves, shared among them. */
function spareMemoryPerContainer({ spec }: Pod): number {
  const { initContainers = [], containers } = spec;
  const whole = spec.resources?.requests?.memory;
  if (whole === undefined) return 0;
  const sum = (holders: readonly V1Container[]): number => holders.reduce((all, holder) => all + memoryRequest(holder), 0);
  const asked = Math.max(sum([...initContainers.filter(isSidecar), ...containers]), ...initContainers.map(memoryRequest));
  return Math.floor(Math.max(0, parseQuantity(whole).value() - asked) / (initContainers.length + containers.length));
}

function memoryRequest({ resources }: V1Container): number {
  const request = resources?.requests?.memory ?? resources?.limits?.memory;
  return request === undefined ? 0 : parseQuantity(request).value();
}
