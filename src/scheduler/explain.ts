/**
 * A decision as data, for people and tools: every plugin's verdict on every node (not only the first refusal), scores with their weights, what would have to
 * change, and whom preemption would push off. Asked of a pod that waits it says why; of one that is placed, why there.
 */
import type { ClusterEventName } from './cluster-event.ts';
import type { PodInfo } from './pod-info.ts';
import type { Plugin, Refusal } from './plugin.ts';
import type { Profile } from './profile.ts';
import { choose, findNodes, type PluginScores, type PreparedFilter, prepareFilters, refused, scoreNodes } from './schedule.ts';
import type { NodeRow, Snapshot } from './snapshot.ts';

export interface Explanation {
  readonly schedulerName: string;
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string; readonly priority: number };
  /** Where it is, when it has a node. */
  readonly assignedNode?: string;
  /** Where it would go now; for a pod with a node, where it would go if it were asked anew. */
  readonly chosenNode?: string;
  /** As the event says it, when no node will do. */
  readonly message?: string;
  /** A plugin keeps it from being tried at all. */
  readonly heldBy?: { readonly plugin: string; readonly message: string };
  readonly nodes: readonly NodeExplanation[];
  readonly preemption?: object;
}

export interface NodeExplanation {
  readonly node: string;
  readonly fits: boolean;
  readonly verdicts: readonly PluginVerdict[];
  /** Weighted sum; only for nodes that fit. */
  readonly score?: number;
  readonly scores?: readonly PluginScore[];
}

export interface PluginVerdict {
  readonly plugin: string;
  readonly verdict: 'passes' | 'refuses';
  readonly reasons?: readonly string[];
  /** More exactly. */
  readonly detail?: string;
  /** Removing pods from the node could help. */
  readonly resolvableByPreemption?: boolean;
  /** Events after which it is worth another try. */
  readonly wouldHelp?: readonly ClusterEventName[];
}

export interface PluginScore {
  readonly plugin: string;
  readonly raw: number;
  readonly normalized: number;
  readonly weight: number;
}

/** Pure. A pod that is placed is looked at as if it were not there. */
export function explain(
  snapshot: Snapshot,
  pod: PodInfo,
  profile: Profile,
  held?: { readonly plugin: string; readonly message: string },
): Explanation {
  const assigned = pod.pod.spec.nodeName;
  const { metadata } = pod.pod;
  const about = {
    schedulerName: profile.schedulerName,
    pod: { namespace: pod.namespace, name: metadata.name, uid: metadata.uid, priority: pod.priority },
    ...(assigned && { assignedNode: assigned }),
    ...(held && { heldBy: held }),
  };
  return snapshot.whatIf((change) => {
    const placed = assigned ? snapshot.node(assigned)?.pods.get(pod.key) : undefined;
    if (placed) change.remove(placed);
    return { ...about, ...outcome(snapshot, assigned ? freed(pod) : pod, profile) };
  });
}

/** The pod as it was before it had a node: otherwise NodeName would be the only plugin with a say. */
function freed(pod: PodInfo): PodInfo {
  const { nodeName: _, ...spec } = pod.pod.spec;
  return { ...pod, pod: { ...pod.pod, spec } };
}

function outcome(snapshot: Snapshot, pod: PodInfo, profile: Profile): Pick<Explanation, 'nodes' | 'chosenNode' | 'message' | 'preemption'> {
  const everywhere = { ...profile, percentageOfNodesToScore: 100 };
  const turn = { chance: 0, start: 0 };
  const found = findNodes(snapshot, pod, everywhere, turn);
  const parts: PluginScores[] = [];
  const totals = scoreNodes(snapshot, pod, profile, found.fitting, (scores) => parts.push(scores));
  const placeOf = new Map(found.fitting.map((node, index) => [node, index]));
  const filters = allFilters(snapshot, pod, profile);
  const nodes = snapshot.nodes.map((node): NodeExplanation => {
    const verdicts = filters.map(({ plugin, filter }) => verdictOf(plugin, filter(node), node));
    const place = placeOf.get(node);
    // Rivals with promises can refuse a node that every plugin passes.
    const blame = found.refusals.get(node) ?? (place === undefined ? found.others : undefined);
    const passes = verdicts.every(({ verdict }) => verdict === 'passes');
    if (place === undefined && blame && passes) verdicts.push(verdictOf({ name: blame.plugin }, blame.refusal, node));
    return {
      node: node.name,
      fits: place !== undefined,
      verdicts,
      ...(place !== undefined && {
        score: totals[place] ?? 0,
        scores: parts.map(({ plugin, weight, raw, normalized }) => ({ plugin, raw: raw[place] ?? 0, normalized: normalized[place] ?? 0, weight })),
      }),
    };
  });
  if (found.fitting.length > 0) return { nodes, chosenNode: choose(found, totals, turn).nodeName };
  const { message, remedy } = refused(snapshot, pod, profile, turn, found);
  return { nodes, message, ...(remedy?.plan && { preemption: remedy.plan.describe }) };
}

/** Every plugin's filter, also of those after one that refused the pod as such, which then refuses every node. */
function allFilters(snapshot: Snapshot, pod: PodInfo, profile: Profile): PreparedFilter[] {
  return profile.filter.flatMap((plugin) => {
    const { filters, refusal, nodes } = prepareFilters(snapshot, pod, { ...profile, filter: [plugin] });
    if (refusal) return [{ plugin, filter: () => refusal.refusal }];
    const [prepared] = filters;
    if (prepared || nodes === undefined) return prepared ? [prepared] : [];
    const elsewhere: Refusal = { reasons: [`node(s) didn't satisfy plugin(s) [${plugin.name}]`], unresolvable: true };
    return [{ plugin, filter: (node: NodeRow) => (nodes.has(node.name) ? undefined : elsewhere) }];
  });
}

function verdictOf({ name, hints }: Pick<Plugin, 'name' | 'hints'>, refusal: Refusal | undefined, node: NodeRow): PluginVerdict {
  if (refusal === undefined) return { plugin: name, verdict: 'passes' };
  return {
    plugin: name,
    verdict: 'refuses',
    reasons: refusal.reasons,
    ...(refusal.detail && { detail: refusal.detail(node) }),
    resolvableByPreemption: !refusal.unresolvable,
    ...(hints && { wouldHelp: [...new Set(hints.flatMap(({ on }) => on))] }),
  };
}
