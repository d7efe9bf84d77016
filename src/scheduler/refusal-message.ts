/** Why no node would do, in the words of upstream's `FitError`: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: …`. */
import type { Refusal } from './plugin.ts';

/** A refusal and whose it is. */
export interface Blame {
  readonly plugin: string;
  readonly refusal: Refusal;
}

export interface RefusedByNode {
  /** All nodes. */
  readonly total: number;
  readonly refusals: Iterable<Pick<Blame, 'refusal'>>;
  /** How many those are; the rest of the nodes were refused together, by `others`. */
  readonly looked: number;
  readonly others: Pick<Blame, 'refusal'> | undefined;
  /** The pod was refused as such. */
  readonly preFilterRefusal?: Blame | undefined;
  /** What plugins that tried to help say. */
  readonly remedies?: readonly string[];
}

export function refusalMessage({ total, refusals, looked, others, preFilterRefusal, remedies = [] }: RefusedByNode): string {
  const words = preFilterRefusal ? preFilterRefusal.refusal.reasons.join(', ') : counted(refusals, others, total - looked);
  const tried = remedies.length === 0 ? '' : ` ${remedies.join(', ')}`;
  return `0/${total} nodes are available: ${words}.${tried}`;
}

function counted(refusals: Iterable<Pick<Blame, 'refusal'>>, others: Pick<Blame, 'refusal'> | undefined, otherNodes: number): string {
  const counts = new Map<string, number>();
  const count = (reasons: readonly string[], nodes: number): void => {
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + nodes);
  };
  for (const { refusal } of refusals) count(refusal.reasons, 1);
  if (others && otherNodes > 0) count(others.refusal.reasons, otherNodes);
  return [...counts]
    .map(([reason, nodes]) => `${nodes} ${reason}`)
    .sort()
    .join(', ');
}
