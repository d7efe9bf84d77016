/**
 * PodTopologySpread: keeps a group of pods even over zones, hosts or any other topology. With `DoNotSchedule`, no domain may have `maxSkew` more of them than
 * the emptiest; with `ScheduleAnyway`, emptier domains are preferred.
 */
import type { KubeObject } from '../../../machinery/object.ts';
import { selectorOf } from '../../../machinery/selector.ts';
import type { LabelColumn } from '../../columns.ts';
import { maxScore, type NodeFilter, type PluginDefinition, type Refusal, type Scoring } from '../../plugin.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { NodeRow, Snapshot } from '../../snapshot.ts';
import { type Constraint, constraintsOf, type DefaultConstraints, hostnameLabel, readDefaults } from './constraints.ts';
import { inclusionOf } from './inclusion.ts';

const skewed: Refusal = { reasons: ["node(s) didn't match pod topology spread constraints"], unresolvable: false };
const unlabelled: Refusal = { reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"], unresolvable: true };

export const podTopologySpread: PluginDefinition = {
  name: 'PodTopologySpread',
  weight: 2,
  create(args) {
    const defaults = readDefaults(args);
    return {
      name: 'PodTopologySpread',
      dependsOnPods: true,
      hints: [
        { on: ['NodeAdd', 'NodeUpdateLabel', 'NodeUpdateTaint', 'PodUpdateLabel', 'PodUpdateTolerations'] },
        {
          on: ['AssignedPodAdd', 'AssignedPodUpdateLabel', 'AssignedPodDelete'],
          helps: (pod, { object, old }) => isCounted(pod, object, old),
        },
      ],
      preFilter(pod, snapshot) {
        const constraints = constraintsOf(pod, snapshot, defaults, 'DoNotSchedule');
        return constraints.length === 0 ? undefined : { filter: skewFilter(constraints, pod, snapshot) };
      },
      preScore: (pod, snapshot, nodes) => evenness(pod, snapshot, nodes, defaults),
    };
  },
};

/** Whether a pod that came, went or changed is one that the waiting pod's constraints count. */
function isCounted(waiting: PodInfo, object: KubeObject, old: KubeObject | undefined): boolean {
  if (object.metadata.namespace !== waiting.namespace) return false;
  const own = waiting.pod.spec.topologySpreadConstraints ?? [];
  // Whom the cluster's defaults count depends on owners: better one try too many.
  if (own.length === 0) return true;
  return own.some(({ labelSelector }) => {
    const selector = selectorOf(labelSelector);
    return selector.matches(object.metadata.labels) || (old !== undefined && selector.matches(old.metadata.labels));
  });
}

// ---- filter

interface Domains {
  readonly constraint: Constraint;
  readonly label: LabelColumn;
  /** Pods that count, by domain; -1 for domains none of whose nodes count. */
  readonly byDomain: Int32Array;
  readonly emptiest: number;
  /** 1 when the pod itself will count. */
  readonly self: number;
}

function skewFilter(constraints: readonly Constraint[], pod: PodInfo, snapshot: Snapshot): NodeFilter {
  const labels = constraints.map(({ topologyKey }) => snapshot.label(topologyKey));
  const all = constraints.map((constraint) => domainsOf(constraint, labels, pod, snapshot));
  return ({ index }) => {
    for (let i = 0; i < all.length; i++) {
      const domains = all[i];
      if (domains === undefined) continue;
      const domain = domains.label.ids[index] ?? 0;
      if (domain === 0) return unlabelled;
      const count = Math.max(0, domains.byDomain[domain] ?? 0);
      if (count + domains.self - domains.emptiest > domains.constraint.maxSkew) return skewed;
    }
    return undefined;
  };
}

/** Only nodes that have the topologies of all constraints count. */
function domainsOf(constraint: Constraint, labels: readonly LabelColumn[], pod: PodInfo, snapshot: Snapshot): Domains {
  const label = snapshot.label(constraint.topologyKey);
  const counts = snapshot.podCounts(constraint.match);
  const included = inclusionOf(constraint, pod, snapshot);
  const byDomain = new Int32Array(label.size).fill(-1);
  const { ids } = label;
  for (const node of snapshot.nodes) {
    const { index } = node;
    const domain = ids[index] ?? 0;
    if (domain === 0 || !hasAll(labels, index) || included?.(node) === false) continue;
    byDomain[domain] = Math.max(0, byDomain[domain] ?? 0) + (counts[index] ?? 0);
  }
  let emptiest = Infinity;
  let domains = 0;
  for (const count of byDomain) {
    if (count < 0) continue;
    domains++;
    if (count < emptiest) emptiest = count;
  }
  // Too few domains: one that is not there yet would be empty.
  if (domains < constraint.minDomains) emptiest = 0;
  const self = constraint.match.matches({ ...pod, terminating: false }) ? 1 : 0;
  return { constraint, label, byDomain, emptiest: Number.isFinite(emptiest) ? emptiest : 0, self };
}

function hasAll(labels: readonly LabelColumn[], index: number): boolean {
  for (let i = 0; i < labels.length; i++) if ((labels[i]?.ids[index] ?? 0) === 0) return false;
  return true;
}

// ---- score

interface SoftDomains {
  readonly label: LabelColumn;
  readonly maxSkew: number;
  /** More domains, more weight: a skew among few is worth less. */
  readonly weight: number;
  readonly count: (index: number) => number;
}

function evenness(pod: PodInfo, snapshot: Snapshot, nodes: readonly NodeRow[], defaults: DefaultConstraints): Scoring | undefined {
  const constraints = constraintsOf(pod, snapshot, defaults, 'ScheduleAnyway');
  if (constraints.length === 0 || nodes.length === 0) return undefined;
  const labels = constraints.map(({ topologyKey }) => snapshot.label(topologyKey));
  // The system's defaults do not leave out nodes without zones.
  const needsAll = (pod.pod.spec.topologySpreadConstraints?.length ?? 0) > 0 || !defaults.system;
  const leftOut = (index: number): boolean => needsAll && !hasAll(labels, index);
  const soft = constraints.map((constraint) => softDomains(constraint, labels, needsAll, nodes, pod, snapshot));
  return {
    score({ index }) {
      if (leftOut(index)) return 0;
      let score = 0;
      for (let i = 0; i < soft.length; i++) {
        const domains = soft[i];
        if (domains !== undefined && (domains.label.ids[index] ?? 0) !== 0) score += domains.count(index) * domains.weight + (domains.maxSkew - 1);
      }
      return Math.round(score);
    },
    normalize: (scores) => fewestFirst(scores, nodes, leftOut),
  };
}

function softDomains(
  constraint: Constraint,
  labels: readonly LabelColumn[],
  needsAll: boolean,
  nodes: readonly NodeRow[],
  pod: PodInfo,
  snapshot: Snapshot,
): SoftDomains {
  const { topologyKey, maxSkew } = constraint;
  const label = snapshot.label(topologyKey);
  const counts = snapshot.podCounts(constraint.match);
  const counted = needsAll ? nodes.filter(({ index }) => hasAll(labels, index)) : nodes;
  if (topologyKey === hostnameLabel) {
    return { label, maxSkew, weight: Math.log(counted.length + 2), count: (index) => counts[index] ?? 0 };
  }
  const { ids } = label;
  const byDomain = new Float64Array(label.size).fill(-1);
  let size = 0;
  for (const { index } of counted) {
    const domain = ids[index] ?? 0;
    if (domain === 0 || byDomain[domain] !== -1) continue;
    byDomain[domain] = 0;
    size++;
  }
  const included = inclusionOf(constraint, pod, snapshot);
  for (const node of snapshot.nodes) {
    const { index } = node;
    const domain = ids[index] ?? 0;
    if (domain === 0 || (byDomain[domain] ?? -1) < 0) continue;
    const count = counts[index] ?? 0;
    if (count === 0 || (needsAll && !hasAll(labels, index)) || included?.(node) === false) continue;
    byDomain[domain] = (byDomain[domain] ?? 0) + count;
  }
  return { label, maxSkew, weight: Math.log(size + 2), count: (index) => byDomain[ids[index] ?? 0] ?? 0 };
}

/** Fewer is better: turned around, so that the emptiest gets 100. Nodes that were left out get nothing. */
function fewestFirst(scores: Float64Array, nodes: readonly NodeRow[], leftOut: (index: number) => boolean): void {
  const isLeftOut = nodes.map(({ index }) => leftOut(index));
  let [lowest, highest] = [Infinity, 0];
  for (let i = 0; i < scores.length; i++) {
    if (isLeftOut[i]) continue;
    const score = scores[i] ?? 0;
    if (score < lowest) lowest = score;
    if (score > highest) highest = score;
  }
  for (let i = 0; i < scores.length; i++) {
    if (isLeftOut[i]) scores[i] = 0;
    else scores[i] = highest === 0 ? maxScore : Math.trunc((maxScore * (highest + lowest - (scores[i] ?? 0))) / highest);
  }
}
