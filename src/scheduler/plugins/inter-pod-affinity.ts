/**
 * InterPodAffinity: near some pods, away from others, within a topology. Three things can refuse a node: the pod's own affinity, its own anti-affinity, and the
 * anti-affinity of pods that are there already. What placed pods say is looked up by group of equal terms, how many match by counts kept current.
 */
import type { Namespace } from '../../api/kinds.ts';
import type { Pod } from '../../api/kinds.ts';
import { nothing } from '../../machinery/selector.ts';
import type { Arguments } from '../config/arguments.ts';
import type { LabelColumn } from '../columns.ts';
import { maxScore, type NodeFilter, type PluginDefinition, type Refusal } from '../plugin.ts';
import { type AffinityTerm, type PodInfo, podInfo } from '../pod-info.ts';
import type { PodMatch } from '../pod-counts.ts';
import type { Snapshot, TermGroup } from '../snapshot.ts';

const notNear: Refusal = { reasons: ["node(s) didn't match pod affinity rules"], unresolvable: true };
const tooNear: Refusal = { reasons: ["node(s) didn't match pod anti-affinity rules"], unresolvable: false };
const notWanted: Refusal = { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"], unresolvable: false };

export const interPodAffinity: PluginDefinition = {
  name: 'InterPodAffinity',
  weight: 2,
  create(args: Arguments) {
    const hardPodAffinityWeight = args.whole('hardPodAffinityWeight', 0, 100) ?? 1;
    const ignorePreferredTermsOfExistingPods = args.truth('ignorePreferredTermsOfExistingPods') ?? false;
    args.done();
    return {
      name: 'InterPodAffinity',
      dependsOnPods: true,
      hints: [
        { on: ['NodeAdd', 'NodeUpdateLabel', 'Namespace', 'PodUpdateLabel'] },
        {
          on: ['AssignedPodAdd', 'AssignedPodUpdateLabel', 'AssignedPodDelete'],
          helps: (pod, { object, name }) => object.kind === 'Pod' && mayHelp(pod, podInfo(object as Pod), name === 'AssignedPodDelete'),
        },
      ],
      preFilter(pod, snapshot) {
        const filters = [nearFilter(pod, snapshot), awayFilter(pod, snapshot), wantedFilter(pod, snapshot)].filter((filter) => filter !== undefined);
        const [first, second, third] = filters;
        if (first === undefined) return undefined;
        if (second === undefined) return { filter: first };
        return { filter: (node) => first(node) ?? second(node) ?? third?.(node) };
      },
      preScore(pod, snapshot) {
        const own = (pod.terms?.preferred.length ?? 0) + (pod.terms?.preferredAnti.length ?? 0) > 0;
        if (ignorePreferredTermsOfExistingPods && !own) return undefined;
        const scores = new TopologyScores(snapshot);
        for (const { term, weight } of pod.terms?.preferred ?? []) scores.addPods(term, weight);
        for (const { term, weight } of pod.terms?.preferredAnti ?? []) scores.addPods(term, -weight);
        const meant = (group: TermGroup): boolean => isAbout(group.term, pod, snapshot);
        if (hardPodAffinityWeight > 0) {
          for (const group of snapshot.requiredAffinity.values()) if (meant(group)) scores.addGroup(group, group.podsByNode, hardPodAffinityWeight);
        }
        for (const group of snapshot.preferredAffinity.values()) if (meant(group)) scores.addGroup(group, group.weightByNode, 1);
        for (const group of snapshot.preferredAntiAffinity.values()) if (meant(group)) scores.addGroup(group, group.weightByNode, -1);
        return scores.isEmpty() ? undefined : { score: ({ index }) => scores.at(index), normalize: spreadOut };
      },
    };
  },
};

// ---- filters

/** Every term needs a pod in the node's topology that all terms are about; the first of a group that wants to be together may go anywhere. */
function nearFilter(pod: PodInfo, snapshot: Snapshot): NodeFilter | undefined {
  const terms = pod.terms?.required ?? [];
  if (terms.length === 0) return undefined;
  const counts = snapshot.podCounts(matchOf(terms, snapshot));
  const topologies = terms.map((term) => inTopology(snapshot, term.topologyKey, counts));
  const nobodyYet = topologies.every(({ total }) => total === 0);
  const isFirst = nobodyYet && terms.every((term) => isAbout(term, pod, snapshot));
  return ({ index }) => {
    for (const { label, byDomain } of topologies) {
      const domain = label.ids[index] ?? 0;
      if (domain === 0) return notNear;
      if (!isFirst && (byDomain[domain] ?? 0) === 0) return notNear;
    }
    return undefined;
  };
}

function awayFilter(pod: PodInfo, snapshot: Snapshot): NodeFilter | undefined {
  const terms = pod.terms?.requiredAnti ?? [];
  if (terms.length === 0) return undefined;
  const topologies = terms.map((term) => inTopology(snapshot, term.topologyKey, snapshot.podCounts(matchOf([term], snapshot))));
  return ({ index }) => {
    for (const { label, byDomain } of topologies) {
      const domain = label.ids[index] ?? 0;
      if (domain !== 0 && (byDomain[domain] ?? 0) > 0) return tooNear;
    }
    return undefined;
  };
}

/** Pods that are there do not want this one near. */
function wantedFilter(pod: PodInfo, snapshot: Snapshot): NodeFilter | undefined {
  let topologies: Map<string, { readonly label: LabelColumn; readonly closed: Uint8Array }> | undefined;
  for (const { term, podsByNode } of snapshot.requiredAntiAffinity.values()) {
    if (!isAbout(term, pod, snapshot)) continue;
    topologies ??= new Map();
    const label = snapshot.label(term.topologyKey);
    const { closed } = topologies.get(term.topologyKey) ?? { closed: new Uint8Array(label.size) };
    topologies.set(term.topologyKey, { label, closed });
    for (const index of podsByNode.keys()) closed[label.ids[index] ?? 0] = 1;
  }
  if (topologies === undefined) return undefined;
  const all = [...topologies.values()];
  return ({ index }) => {
    for (const { label, closed } of all) {
      const domain = label.ids[index] ?? 0;
      if (domain !== 0 && closed[domain] === 1) return notWanted;
    }
    return undefined;
  };
}

interface InTopology {
  readonly label: LabelColumn;
  /** Matching pods by domain. */
  readonly byDomain: Int32Array;
  readonly total: number;
}

function inTopology(snapshot: Snapshot, key: string, counts: Int32Array): InTopology {
  const label = snapshot.label(key);
  const { ids } = label;
  const byDomain = new Int32Array(label.size);
  let total = 0;
  for (let index = 0; index < counts.length; index++) {
    const count = counts[index] ?? 0;
    if (count === 0) continue;
    const domain = ids[index] ?? 0;
    if (domain === 0) continue;
    byDomain[domain] = (byDomain[domain] ?? 0) + count;
    total += count;
  }
  return { label, byDomain, total };
}

// ---- which pods a term is about

function isAbout(term: AffinityTerm, pod: PodInfo, { objects }: Snapshot): boolean {
  return term.selector.matches(pod.labels) && (term.namespaces.has(pod.namespace) || isChosen(term, objects.namespaces.get(pod.namespace)));
}

function isChosen({ namespaceSelector }: AffinityTerm, namespace: Namespace | undefined): boolean {
  return namespaceSelector !== nothing && namespaceSelector.matches(namespace?.metadata.labels);
}

/** Pods that all the terms are about. */
function matchOf(terms: readonly AffinityTerm[], snapshot: Snapshot): PodMatch {
  const [first] = terms;
  const byNamespaceLabels = terms.some(({ namespaceSelector }) => namespaceSelector !== nothing);
  const only = !byNamespaceLabels && first?.namespaces.size === 1 ? [...first.namespaces][0] : undefined;
  return {
    id: `terms ${terms.map(({ podsId }) => podsId).join(' ')}`,
    namespace: only,
    byNamespaceLabels,
    matches: (pod) => terms.every((term) => isAbout(term, pod, snapshot)),
  };
}

/** Whether a pod that came or went can make room for one that waits, or be the neighbour it waits for. */
function mayHelp(waiting: PodInfo, other: PodInfo, went: boolean): boolean {
  const names = (term: AffinityTerm, pod: PodInfo): boolean =>
    term.selector.matches(pod.labels) && (term.namespaceSelector !== nothing || term.namespaces.has(pod.namespace));
  if (!went) return waiting.terms?.required.some((term) => names(term, other)) ?? false;
  const refusedIt = waiting.terms?.requiredAnti.some((term) => names(term, other)) ?? false;
  return refusedIt || (other.terms?.requiredAnti.some((term) => names(term, waiting)) ?? false);
}

// ---- score

/** Points by topology domain. */
class TopologyScores {
  private readonly snapshot: Snapshot;
  private readonly byKey = new Map<string, { readonly label: LabelColumn; readonly points: Float64Array }>();
  private topologies: { readonly label: LabelColumn; readonly points: Float64Array }[] = [];

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
  }

  /** For each pod the term is about. */
  addPods(term: AffinityTerm, weight: number): void {
    const { byDomain } = inTopology(this.snapshot, term.topologyKey, this.snapshot.podCounts(matchOf([term], this.snapshot)));
    const { points } = this.of(term.topologyKey);
    for (let domain = 1; domain < byDomain.length; domain++) points[domain] = (points[domain] ?? 0) + weight * (byDomain[domain] ?? 0);
  }

  /** For pods that say the term. */
  addGroup({ term }: TermGroup, amounts: ReadonlyMap<number, number>, factor: number): void {
    const { label, points } = this.of(term.topologyKey);
    for (const [index, amount] of amounts) {
      const domain = label.ids[index] ?? 0;
      points[domain] = (points[domain] ?? 0) + factor * amount;
    }
  }

  isEmpty(): boolean {
    return this.topologies.length === 0;
  }

  at(index: number): number {
    let sum = 0;
    for (const { label, points } of this.topologies) {
      const domain = label.ids[index] ?? 0;
      if (domain !== 0) sum += points[domain] ?? 0;
    }
    return sum;
  }

  private of(key: string): { readonly label: LabelColumn; readonly points: Float64Array } {
    let topology = this.byKey.get(key);
    if (topology === undefined) {
      const label = this.snapshot.label(key);
      topology = { label, points: new Float64Array(label.size) };
      this.byKey.set(key, topology);
      this.topologies = [...this.byKey.values()];
    }
    return topology;
  }
}

/** The lowest gets 0, the highest 100. */
function spreadOut(scores: Float64Array): void {
  let [lowest, highest] = [Infinity, -Infinity];
  for (const score of scores) {
    if (score < lowest) lowest = score;
    if (score > highest) highest = score;
  }
  const range = highest - lowest;
  for (let i = 0; i < scores.length; i++) scores[i] = range > 0 ? Math.trunc((maxScore * ((scores[i] ?? 0) - lowest)) / range) : 0;
}
