/** The three qualities of service, from requests and limits alone, and what they mean to the kernel's out-of-memory killer. */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { type Quantity, parseQuantity } from '../machinery/quantity.ts';

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
      const request = container.resources?.requests?.memory ?? container.resources?.limits?.memory;
      const bytes = request === undefined ? 0 : parseQuantity(request).value();
      const score = 1000 - Math.floor((1000 * bytes) / nodeMemoryBytes);
      // Never as safe as a guaranteed pod, never as exposed as a best-effort one.
      return score < 3 ? 3 : Math.min(score, 999);
    }
  }
}
