/**
 * Agrees on the NUMA nodes that a container's resources come from: each kind of resource says which sets of nodes would do, and the policy says how much
 * it matters that all are near to each other. Pure functions. Upstream: the policies of the topology manager.
 * https://kubernetes.io/docs/tasks/administer-cluster/topology-manager/
 */
import type { NumaNode } from './machine-topology.ts';
import { type NumaMask, isNarrower, maskOf, nodeCount, nodesIn } from './numa-mask.ts';

export const topologyPolicies = ['none', 'best-effort', 'restricted', 'single-numa-node'] as const;
export type TopologyPolicy = (typeof topologyPolicies)[number];

export interface TopologyHint {
  /** Undefined: wherever it may be. */
  readonly affinity: NumaMask | undefined;
  /** No smaller set of nodes could do, however empty the machine were. */
  readonly preferred: boolean;
}

/** By kind of resource: sets of nodes that would do, none of them when the list is empty; undefined where it does not matter. */
export type HintsByResource = ReadonlyMap<string, readonly TopologyHint[] | undefined>;

export interface Agreement {
  readonly hint: TopologyHint;
  readonly admitted: boolean;
}

export interface TopologySetting {
  readonly policy: TopologyPolicy;
  readonly nodes: readonly NumaNode[];
  /** Of equally small sets, those whose nodes are nearer to each other. */
  readonly preferClosest: boolean;
}

export const anywhere: TopologyHint = { affinity: undefined, preferred: true };

export function agree({ policy, nodes, preferClosest }: TopologySetting, offers: readonly HintsByResource[]): Agreement {
  if (policy === 'none') return { hint: { affinity: undefined, preferred: false }, admitted: true };
  const everywhere = maskOf(nodes.map(({ id }) => id));
  const lists = offers.flatMap((offer) => [...offer.values()].map(hintsToChooseFrom));
  const narrower = preferClosest ? (a: NumaMask, b: NumaMask): boolean => isCloser(nodes, a, b) : isNarrower;
  if (policy !== 'single-numa-node') {
    const hint = bestOf(lists, everywhere, narrower);
    return { hint, admitted: policy === 'best-effort' || hint.preferred };
  }
  const singles = lists.map((hints) => hints.filter(({ affinity, preferred }) => preferred && (affinity === undefined || nodeCount(affinity) === 1)));
  const best = bestOf(singles, everywhere, narrower);
  // On any node is as good as on one.
  return { hint: best.affinity === everywhere ? { ...best, affinity: undefined } : best, admitted: best.preferred };
}

function hintsToChooseFrom(hints: readonly TopologyHint[] | undefined): readonly TopologyHint[] {
  if (!hints) return [anywhere];
  return hints.length > 0 ? hints : [{ affinity: undefined, preferred: false }];
}

function bestOf(lists: readonly (readonly TopologyHint[])[], everywhere: NumaMask, narrower: (a: NumaMask, b: NumaMask) => boolean): TopologyHint {
  // What none of the kinds can do with less than.
  const least = Math.max(
    0,
    ...lists
      .map((hints) => Math.min(Infinity, ...hints.flatMap(({ affinity }) => (affinity === undefined ? [] : [nodeCount(affinity)]))))
      .filter(Number.isFinite),
  );
  let best: { affinity: NumaMask; preferred: boolean } | undefined;
  for (const choice of choices(lists)) {
    const candidate = together(choice, everywhere);
    if (candidate.affinity === 0) continue;
    if (!best || isBetter(candidate, best, least, narrower)) best = candidate;
  }
  return best ?? { affinity: everywhere, preferred: false };
}

function* choices(lists: readonly (readonly TopologyHint[])[], index = 0, chosen: readonly TopologyHint[] = []): Generator<readonly TopologyHint[]> {
  const list = lists[index];
  if (!list) yield chosen;
  else for (const hint of list) yield* choices(lists, index + 1, [...chosen, hint]);
}

/** The nodes that all of them name. It is what they want only if all name the same. */
function together(hints: readonly TopologyHint[], everywhere: NumaMask): { affinity: NumaMask; preferred: boolean } {
  const named = hints.flatMap(({ affinity }) => affinity ?? []);
  return {
    affinity: named.reduce((all, affinity) => all & affinity, everywhere),
    preferred: hints.every(({ preferred }) => preferred) && named.every((affinity) => affinity === named[0]),
  };
}

function isBetter(
  candidate: { affinity: NumaMask; preferred: boolean },
  best: { affinity: NumaMask; preferred: boolean },
  least: number,
  narrower: (a: NumaMask, b: NumaMask) => boolean,
): boolean {
  if (candidate.preferred !== best.preferred) return candidate.preferred;
  if (candidate.preferred) return narrower(candidate.affinity, best.affinity);
  // Neither is what all want: as near as can be to the size that one of them needs.
  const [size, bestSize] = [nodeCount(candidate.affinity), nodeCount(best.affinity)];
  if (bestSize > least) return narrower(candidate.affinity, best.affinity);
  if (bestSize === least) return size === least && narrower(candidate.affinity, best.affinity);
  if (size > least) return false;
  return size === bestSize ? narrower(candidate.affinity, best.affinity) : size > bestSize;
}

function isCloser(nodes: readonly NumaNode[], a: NumaMask, b: NumaMask): boolean {
  if (nodeCount(a) !== nodeCount(b)) return isNarrower(a, b);
  const [near, far] = [averageDistance(nodes, a), averageDistance(nodes, b)];
  return near === far ? isNarrower(a, b) : near < far;
}

function averageDistance(nodes: readonly NumaNode[], mask: NumaMask): number {
  const ids = nodesIn(mask);
  const distances = ids.flatMap((id) => ids.map((other) => nodes.find((node) => node.id === id)?.distances.get(other) ?? 0));
  return distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
}
