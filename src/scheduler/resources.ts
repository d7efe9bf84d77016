/**
 * How much a pod asks for and a node has: upstream's rules for requests (containers together, init containers one at a time, sidecars for good,
 * overhead on top), in numbers that add up fast. CPU in millicores, all else in units (bytes, counts).
 */
import type { Pod } from '../api/kinds.ts';
import type { V1Container, V1PodSpec } from '../api/types.ts';
import { parseQuantity } from '../machinery/quantity.ts';

/** Amounts by resource name; what is not listed is zero. */
export type Amounts = ReadonlyMap<string, number>;

export function amountsOf(list: Readonly<Record<string, string>> | undefined): Map<string, number> {
  const amounts = new Map<string, number>();
  for (const [name, text] of Object.entries(list ?? {})) {
    const quantity = parseQuantity(text);
    amounts.set(name, name === 'cpu' ? quantity.milliValue() : quantity.value());
  }
  return amounts;
}

/** What a container that asks for nothing is counted with when nodes are compared, as upstream does, so that such pods spread. */
const assumedCpu = 100;
const assumedMemory = 200 * 1024 * 1024;

/** CPU and memory as they are counted for scores: what is asked for, or upstream's assumption for each container that asks for nothing. */
export function nonZeroRequests(pod: Pod, requests: Amounts): { cpu: number; memory: number } {
  const { spec } = pod;
  const [cpu, memory] = [requests.get('cpu') ?? 0, requests.get('memory') ?? 0];
  const podLevel = spec.resources?.requests;
  const silent = (resource: string): number =>
    podLevel?.[resource] !== undefined ? 0 : spec.containers.filter((container) => container.resources?.requests?.[resource] === undefined).length;
  return { cpu: cpu + silent('cpu') * assumedCpu, memory: memory + silent('memory') * assumedMemory };
}

/** What the pod needs reserved on a node, `pods: 1` included. */
export function podRequests(pod: Pod): Map<string, number> {
  const { spec } = pod;
  const total = new Map<string, number>();
  for (const container of spec.containers) addTo(total, containerRequests(pod, container));
  const duringInit = requestsDuringInit(pod, spec);
  // Sidecars go on running next to the containers; an ordinary init container only counts while it runs.
  addTo(total, duringInit.sidecars);
  raiseTo(total, duringInit.peak);
  if (spec.resources?.requests) for (const [name, amount] of amountsOf(spec.resources.requests)) total.set(name, amount);
  addTo(total, amountsOf(spec.overhead));
  total.set('pods', 1);
  return total;
}

function requestsDuringInit(pod: Pod, spec: V1PodSpec): { sidecars: Map<string, number>; peak: Map<string, number> } {
  const sidecars = new Map<string, number>();
  const peak = new Map<string, number>();
  for (const container of spec.initContainers ?? []) {
    const requests = containerRequests(pod, container);
    if (container.restartPolicy === 'Always') {
      addTo(sidecars, requests);
      raiseTo(peak, sidecars);
    } else {
      const together = new Map(sidecars);
      addTo(together, requests);
      raiseTo(peak, together);
    }
  }
  return { sidecars, peak };
}

/** A resized container is charged for the larger of what it asks for and what it was given, until the node has acted. */
function containerRequests(pod: Pod, container: V1Container): Map<string, number> {
  const requests = amountsOf(container.resources?.requests);
  const given = pod.status.containerStatuses?.find((status) => status.name === container.name)?.allocatedResources;
  if (given) raiseTo(requests, amountsOf(given));
  return requests;
}

export function addTo(total: Map<string, number>, amounts: Amounts): void {
  for (const [name, amount] of amounts) total.set(name, (total.get(name) ?? 0) + amount);
}

function raiseTo(total: Map<string, number>, amounts: Amounts): void {
  for (const [name, amount] of amounts) if (amount > (total.get(name) ?? 0)) total.set(name, amount);
}
