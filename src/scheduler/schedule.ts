/**
 * One scheduling cycle as a pure function: a snapshot and a pod in, a decision out, with every plugin's verdict on every node it looked at. No
 * clock, no I/O; ties are broken by the number passed in.
 */
import { type Plugin, type Refusal, maxScore } from './plugin.ts';
import type { NodeInfo, PodInfo, Snapshot } from './snapshot.ts';

export type Decision = Placed | Refused;

export interface Placed {
  readonly type: 'placed';
  readonly nodeName: string;
  /** Weighted total by node that would have done. */
  readonly scores: ReadonlyMap<string, number>;
  readonly refusals: ReadonlyMap<string, readonly Refusal[]>;
}

export interface Refused {
  readonly type: 'refused';
  /** As the event and the pod's condition say it: `0/3 nodes are available: …`. */
  readonly message: string;
  readonly refusals: ReadonlyMap<string, readonly Refusal[]>;
  /** Plugins that refused some node: what must change before another try makes sense. */
  readonly plugins: ReadonlySet<string>;
}

/** `tie` in [0, 1) picks among the best nodes. */
export function schedule(snapshot: Snapshot, pod: PodInfo, plugins: readonly Plugin[], tie: number): Decision {
  const refusals = new Map<string, readonly Refusal[]>();
  const fitting: NodeInfo[] = [];
  for (const node of snapshot.nodes) {
    const found = refusalsOf(pod, node, plugins);
    if (found.length === 0) fitting.push(node);
    else refusals.set(node.name, found);
  }
  if (fitting.length === 0) return refused(snapshot, refusals, plugins);
  const scores = scoresOf(pod, fitting, plugins);
  const best = Math.max(...scores.values());
  const winners = fitting.filter((node) => scores.get(node.name) === best);
  const winner = winners[Math.floor(tie * winners.length)] ?? fitting[0];
  if (!winner) throw new Error('a node that fits was lost between filter and score');
  return { type: 'placed', nodeName: winner.name, scores, refusals };
}

/** The first plugin that refuses decides: later ones could only repeat that the node will not do. */
function refusalsOf(pod: PodInfo, node: NodeInfo, plugins: readonly Plugin[]): readonly Refusal[] {
  for (const plugin of plugins) {
    const found = plugin.filter?.(pod, node) ?? [];
    if (found.length > 0) return found.map((refusal) => ({ plugin: plugin.name, ...refusal }));
  }
  return [];
}

function scoresOf(pod: PodInfo, nodes: readonly NodeInfo[], plugins: readonly Plugin[]): Map<string, number> {
  const totals = new Map<string, number>(nodes.map((node) => [node.name, 0]));
  if (nodes.length === 1) return totals;
  for (const { score, normalize = 'as-is', weight = 1 } of plugins) {
    if (!score) continue;
    const raw = nodes.map((node) => score(pod, node));
    const highest = Math.max(...raw);
    for (const [index, node] of nodes.entries()) {
      totals.set(node.name, (totals.get(node.name) ?? 0) + weight * normalized(raw[index] ?? 0, highest, normalize));
    }
  }
  return totals;
}

function normalized(raw: number, highest: number, how: NonNullable<Plugin['normalize']>): number {
  switch (how) {
    case 'as-is':
      return raw;
    case 'proportional':
      return highest === 0 ? 0 : (raw * maxScore) / highest;
    case 'inverse':
      return highest === 0 ? maxScore : maxScore - (raw * maxScore) / highest;
  }
}

function refused(snapshot: Snapshot, refusals: ReadonlyMap<string, readonly Refusal[]>, plugins: readonly Plugin[]): Refused {
  if (snapshot.nodes.length === 0) {
    return { type: 'refused', message: 'no nodes available to schedule pods', refusals, plugins: new Set(plugins.map((plugin) => plugin.name)) };
  }
  const counts = new Map<string, number>();
  const blamed = new Set<string>();
  for (const list of refusals.values()) {
    for (const { reason, plugin } of list) {
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
      blamed.add(plugin);
    }
  }
  const words = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return { type: 'refused', message: `0/${snapshot.nodes.length} nodes are available: ${words.join(', ')}.`, refusals, plugins: blamed };
}
