/** What of a resource would be in use on a node with the pod on it, and how much there is: what the scores about resources are made of. */
import type { Arguments } from '../config/arguments.ts';
import type { PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';

export interface WeightedResource {
  readonly name: string;
  readonly weight: number;
}

export const cpuAndMemory: readonly WeightedResource[] = [
  { name: 'cpu', weight: 1 },
  { name: 'memory', weight: 1 },
];

/** One resource's columns, and what the pod adds. */
export interface Usage {
  readonly name: string;
  readonly weight: number;
  readonly allocatable: Float64Array;
  readonly used: Float64Array;
  readonly added: number;
}

/**
 * `assumed` counts pods that ask for nothing with upstream's assumptions. Extended resources the pod does not ask for are left out: they say nothing about
 * where it should go.
 */
export function usageOf(pod: PodInfo, snapshot: Snapshot, resources: readonly WeightedResource[], assumed: boolean): Usage[] {
  return resources.flatMap(({ name, weight }) => {
    const asked = pod.requests.get(name) ?? 0;
    const allocatable = snapshot.allocatable.column(name);
    if (assumed && name === 'cpu') return [{ name, weight, allocatable, used: snapshot.nonZeroCpu, added: pod.nonZeroCpu }];
    if (assumed && name === 'memory') return [{ name, weight, allocatable, used: snapshot.nonZeroMemory, added: pod.nonZeroMemory }];
    if (asked === 0 && isExtended(name)) return [];
    return [{ name, weight, allocatable, used: snapshot.requested.column(name), added: asked }];
  });
}

/** Equal for pods that add alike: what scores about them are remembered under. */
export function usageKey(usage: readonly Usage[]): string {
  let key = '';
  for (const { name, added } of usage) key += `${name} ${added} `;
  return key;
}

export function isExtended(name: string): boolean {
  return name.includes('/') || name.startsWith('hugepages-') || name.startsWith('attachable-volumes-');
}

/** `resources` of a plugin's arguments: name and weight (1 when absent, at most 100). */
export function weightedResources(args: Arguments, fixedWeight: boolean): readonly WeightedResource[] | undefined {
  const seen = new Set<string>();
  return args.objects('resources')?.map((one) => {
    const name = one.text('name');
    const weight = one.whole('weight', 1, fixedWeight ? 1 : 100) ?? 1;
    if (name === undefined || name === '') return one.refuse('name', 'must be given');
    if (seen.has(name)) return one.refuse('name', 'is there twice');
    seen.add(name);
    one.done();
    return { name, weight };
  });
}
