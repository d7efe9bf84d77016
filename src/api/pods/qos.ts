/**
 * A pod's quality of service: Guaranteed when every container's limits and requests for cpu and memory are there and equal, BestEffort when none
 * has any, Burstable otherwise. Follows `pkg/apis/core/v1/helper/qos`.
 */
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import type { V1PodSpec, V1ResourceRequirements } from '../types.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const counted = ['cpu', 'memory'];

export function qosClassOf(spec: V1PodSpec): QosClass {
  const podLevel = spec.resources;
  const all =
    podLevel !== undefined ? [podLevel] : [...spec.containers, ...(spec.initContainers ?? [])].map((container) => container.resources ?? {});
  const amounts = all.map((resources) => ({ requests: positive(resources.requests), limits: positive(resources.limits) }));
  if (amounts.every(({ requests, limits }) => requests.size === 0 && limits.size === 0)) return 'BestEffort';
  const guaranteed = amounts.every(
    ({ requests, limits }) => limits.size === counted.length && [...requests].every(([name, request]) => limits.get(name)?.compare(request) === 0),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function positive(list: V1ResourceRequirements['limits']): Map<string, Quantity> {
  const amounts = new Map<string, Quantity>();
  for (const name of counted) {
    const text = list?.[name];
    if (text === undefined) continue;
    const amount = parseQuantity(text);
    if (amount.compare(Quantity.zero) > 0) amounts.set(name, amount);
  }
  return amounts;
}
