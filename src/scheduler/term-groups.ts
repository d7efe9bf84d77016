/**
 * What placed pods say about other pods (their affinity terms), grouped: a thousand replicas say one thing, so a new pod is compared with one term, not a
 * thousand. Upstream walks over every pod that has affinity; this is why k8ts need not.
 */
import type { AffinityTerm, PodInfo } from './pod-info.ts';
import type { TermGroup } from './snapshot.ts';

interface Group extends TermGroup {
  readonly podsByNode: Map<number, number>;
  readonly weightByNode: Map<number, number>;
}

export class TermGroups {
  readonly required = new Map<string, Group>();
  readonly requiredAnti = new Map<string, Group>();
  readonly preferred = new Map<string, Group>();
  readonly preferredAnti = new Map<string, Group>();

  /** The pod came to the node, or went. */
  count({ terms }: PodInfo, index: number, change: 1 | -1): void {
    if (terms === undefined) return;
    for (const term of terms.required) countIn(this.required, term, 1, index, change);
    for (const term of terms.requiredAnti) countIn(this.requiredAnti, term, 1, index, change);
    for (const { term, weight } of terms.preferred) countIn(this.preferred, term, weight, index, change);
    for (const { term, weight } of terms.preferredAnti) countIn(this.preferredAnti, term, weight, index, change);
  }
}

function countIn(groups: Map<string, Group>, term: AffinityTerm, weight: number, index: number, change: 1 | -1): void {
  let group = groups.get(term.id);
  if (group === undefined) {
    group = { term, podsByNode: new Map(), weightByNode: new Map() };
    groups.set(term.id, group);
  }
  const pods = (group.podsByNode.get(index) ?? 0) + change;
  if (pods === 0) {
    group.podsByNode.delete(index);
    group.weightByNode.delete(index);
    if (group.podsByNode.size === 0) groups.delete(term.id);
    return;
  }
  group.podsByNode.set(index, pods);
  group.weightByNode.set(index, (group.weightByNode.get(index) ?? 0) + change * weight);
}
