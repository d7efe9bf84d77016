/** Why a pod was evicted, in the words that people search for. */
import type { Pod } from '../../api/kinds.ts';
import { type Quantity, parseQuantity } from '../../machinery/quantity.ts';
import type { Reading } from './pressure.ts';
import { type Candidate, resourceOf } from './rank.ts';
import { type Threshold, valueOf } from './thresholds.ts';

export function lowOnResource({ signal, amount }: Threshold, reading: Reading | undefined, { pod, usage }: Candidate): string {
  const resource = resourceOf[signal];
  let message = `The node was low on resource: ${resource}. `;
  if (reading) {
    message += `Threshold quantity: ${inUnits(resource, valueOf(amount, reading.capacity))}, available: ${inUnits(resource, reading.available)}. `;
  }
  for (const { name, memoryBytes, diskBytes } of usage.containers) {
    if (resource !== 'memory' && resource !== 'ephemeral-storage') continue;
    const used = resource === 'memory' ? memoryBytes : diskBytes;
    const request = requestOf(pod, name, resource);
    if (used <= (request?.value() ?? 0)) continue;
    message += `Container ${name} was using ${inUnits(resource, used)}, request is ${request?.toString() ?? '0'}, has larger consumption of ${resource}. `;
  }
  return message;
}

export const emptyDirOverLimit = (volume: string, limit: string): string => `Usage of EmptyDir volume "${volume}" exceeds the limit "${limit}". `;

export const containerOverLimit = (container: string, limit: string): string =>
  `Container ${container} exceeded its local ephemeral storage limit "${limit}". `;

export const podOverLimit = (limitBytes: number): string =>
  `Pod ephemeral local storage usage exceeds the total limit of containers ${inUnits('ephemeral-storage', limitBytes)}. `;

export const nodeHadCondition = (conditions: Iterable<string>): string => `The node had condition: [${[...conditions].join(' ')}]. `;

/** Bytes in the largest binary unit that is exact, as quantities are printed: `102400Ki`, `3Gi`; numbers as they are. */
function inUnits(resource: string, amount: number): string {
  if (resource !== 'memory' && resource !== 'ephemeral-storage') return String(amount);
  for (const [unit, size] of [
    ['Gi', 2 ** 30],
    ['Mi', 2 ** 20],
    ['Ki', 2 ** 10],
  ] as const) {
    if (amount >= size && amount % size === 0) return `${amount / size}${unit}`;
  }
  return String(amount);
}

function requestOf(pod: Pod, container: string, resource: string): Quantity | undefined {
  const found = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(({ name }) => name === container);
  const text = found?.resources?.requests?.[resource] ?? found?.resources?.limits?.[resource];
  return text === undefined ? undefined : parseQuantity(text);
}
