/**
 * What a pod as a whole asks for and may use, as quotas and limit ranges count it: its containers together, or the init container that needs more, with
 * side cars beside both, and the runtime's overhead on top. Follows `k8s.io/component-helpers/resource`.
 */
import { parseQuantity, type Quantity } from '../../machinery/quantity.ts';
import type { V1Container, V1PodSpec } from '../types.ts';

export type Amounts = ReadonlyMap<string, Quantity>;

export function podRequests(spec: V1PodSpec): Amounts {
  const total = podTotal(spec, (container) => container.resources?.requests);
  for (const [name, amount] of Object.entries(spec.resources?.requests ?? {})) total.set(name, parseQuantity(amount));
  for (const [name, amount] of Object.entries(spec.overhead ?? {})) add(total, name, parseQuantity(amount));
  return total;
}

/** The overhead raises only limits that are there: without one there is no bound to raise. */
export function podLimits(spec: V1PodSpec): Amounts {
  const total = podTotal(spec, (container) => container.resources?.limits);
  for (const [name, amount] of Object.entries(spec.resources?.limits ?? {})) total.set(name, parseQuantity(amount));
  for (const [name, amount] of Object.entries(spec.overhead ?? {})) if (total.has(name)) add(total, name, parseQuantity(amount));
  return total;
}

/** The containers' amounts together, without what is said for the pod as a whole. */
export function podTotals(spec: V1PodSpec, part: 'limits' | 'requests'): Amounts {
  return podTotal(spec, (container) => container.resources?.[part]);
}

function podTotal(spec: V1PodSpec, amounts: (container: V1Container) => Readonly<Record<string, string>> | undefined): Map<string, Quantity> {
  const running = new Map<string, Quantity>();
  const starting = new Map<string, Quantity>();
  const sideCars = new Map<string, Quantity>();
  for (const container of spec.containers) addAll(running, amounts(container));
  for (const container of spec.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      addAll(running, amounts(container));
      addAll(sideCars, amounts(container));
      raise(starting, sideCars);
    } else {
      const own = new Map(sideCars);
      addAll(own, amounts(container));
      raise(starting, own);
    }
  }
  raise(running, starting);
  return running;
}

function addAll(total: Map<string, Quantity>, amounts: Readonly<Record<string, string>> | undefined): void {
  if (amounts) for (const name of Object.keys(amounts)) add(total, name, parseQuantity(amounts[name] ?? '0'));
}

function add(total: Map<string, Quantity>, name: string, amount: Quantity): void {
  total.set(name, total.get(name)?.add(amount) ?? amount);
}

function raise(total: Map<string, Quantity>, least: Amounts): void {
  for (const [name, amount] of least) {
    const known = total.get(name);
    if (known === undefined || known.compare(amount) < 0) total.set(name, amount);
  }
}
