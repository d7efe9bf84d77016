/** Lists of conditions, as most statuses carry them: one entry per type, times that move only when something did. */

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export function conditionOf<C extends Condition>(conditions: readonly C[] | undefined, type: string): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function withoutCondition<C extends Condition>(conditions: readonly C[] | undefined, type: string): C[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

/**
 * The list with `next` in it. An entry of the same status and reason stays as it was, untouched; one of the same status keeps its
 * `lastTransitionTime`. The list is the same value when nothing changed.
 */
export function withCondition<C extends Condition>(conditions: readonly C[] | undefined, next: C): readonly C[] {
  const current = conditionOf(conditions, next.type);
  if (conditions && current && current.status === next.status && current.reason === next.reason) return conditions;
  const kept: C = current && current.status === next.status ? { ...next, lastTransitionTime: current.lastTransitionTime } : next;
  return [...withoutCondition(conditions, next.type), kept];
}

/** A node's kubelet says that it takes pods. */
export function isNodeReady({ status }: { readonly status: { readonly conditions?: readonly Condition[] } }): boolean {
  return conditionOf(status.conditions, 'Ready')?.status === 'True';
}
