/**
 * How many placed pods match a selector, by node: what topology spread and pod affinity are decided on. Counted once when first asked for, kept current
 * pod by pod after that, so that a decision costs the same whether there are a hundred pods or a hundred thousand.
 */
import { IntegerColumn } from './columns.ts';
import type { PodInfo } from './pod-info.ts';

export interface PodMatch {
  /** Equal for matches that say the same. */
  readonly id: string;
  /** The one namespace it is about; undefined when there may be more. */
  readonly namespace: string | undefined;
  /** Its answer depends on labels of namespaces. */
  readonly byNamespaceLabels: boolean;
  matches(pod: PodInfo): boolean;
}

interface Counter {
  readonly match: PodMatch;
  readonly column: IntegerColumn;
}

/** Counters nobody asked for lately are let go. */
const maxCounters = 512;

export class PodCounts {
  private readonly counters = new Map<string, Counter>();
  private readonly byNamespace = new Map<string, Set<Counter>>();
  private readonly anyNamespace = new Set<Counter>();

  /** `placed` are all pods with the index of their node. */
  of(match: PodMatch, capacity: number, placed: () => Iterable<readonly [PodInfo, number]>): Int32Array {
    const known = this.counters.get(match.id);
    if (known !== undefined) {
      // Asked for last: let go last.
      this.counters.delete(match.id);
      this.counters.set(match.id, known);
      return known.column.values;
    }
    const counter: Counter = { match, column: new IntegerColumn(capacity) };
    const { values } = counter.column;
    for (const [pod, index] of placed()) if (match.matches(pod)) values[index] = (values[index] ?? 0) + 1;
    this.add(counter);
    return values;
  }

  count(pod: PodInfo, index: number, change: 1 | -1): void {
    if (this.counters.size === 0) return;
    const own = this.byNamespace.get(pod.namespace);
    if (own !== undefined) for (const counter of own) countIn(counter, pod, index, change);
    for (const counter of this.anyNamespace) countIn(counter, pod, index, change);
  }

  grow(capacity: number): void {
    for (const { column } of this.counters.values()) column.grow(capacity);
  }

  /** Labels of a namespace changed: what was counted by them is counted anew when next asked for. */
  forgetNamespaceLabels(): void {
    for (const counter of this.anyNamespace) if (counter.match.byNamespaceLabels) this.remove(counter);
  }

  private add(counter: Counter): void {
    this.counters.set(counter.match.id, counter);
    this.setOf(counter).add(counter);
    if (this.counters.size <= maxCounters) return;
    for (const oldest of this.counters.values()) {
      this.remove(oldest);
      return;
    }
  }

  private remove(counter: Counter): void {
    const { id, namespace } = counter.match;
    this.counters.delete(id);
    const set = this.setOf(counter);
    set.delete(counter);
    if (namespace !== undefined && set.size === 0) this.byNamespace.delete(namespace);
  }

  private setOf({ match }: Counter): Set<Counter> {
    if (match.namespace === undefined) return this.anyNamespace;
    let set = this.byNamespace.get(match.namespace);
    if (set === undefined) {
      set = new Set();
      this.byNamespace.set(match.namespace, set);
    }
    return set;
  }
}

function countIn({ match, column }: Counter, pod: PodInfo, index: number, change: 1 | -1): void {
  if (match.matches(pod)) column.values[index] = (column.values[index] ?? 0) + change;
}
