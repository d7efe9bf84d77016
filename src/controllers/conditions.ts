/** Lists of conditions, as most statuses carry them: one entry per type, times that move only when something did. */

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  observedGeneration?: number;
}

/** What a condition says of the generation of the object it was judged by. */
export function judgedBy({
  metadata: { generation },
}: {
  readonly metadata: { readonly generation?: number };
}): Pick<Condition, 'observedGeneration'> {
  return generation === undefined ? {} : { observedGeneration: generation };
}

export function conditionOf<C extends Condition>(conditions: readonly C[] | undefined, type: string): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function withoutCondition<C extends Condition>(conditions: readonly C[] | undefined, type: string): C[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

/**
 * The list with `next` in it. An entry of the same status, reason and generation stays as it was, untouched; one of the same status keeps its
 * `lastTransitionTime`. The list is the same value when nothing changed.
 */
export function withCondition<C extends Condition>(conditions: readonly C[] | undefined, next: C): readonly C[] {
  const current = conditionOf(conditions, next.type);
  const isSame = current?.status === next.status && current.reason === next.reason && current.observedGeneration === next.observedGeneration;
  if (conditions && isSame) return conditions;
  const kept: C = current?.status === next.status ? { ...next, lastTransitionTime: current.lastTransitionTime } : next;
  return [...withoutCondition(conditions, next.type), kept];
}

/** A node's kubelet says that it takes pods. */
export function isNodeReady({ status }: { readonly status: { readonly conditions?: readonly Condition[] } }): boolean {
  return conditionOf(status.conditions, 'Ready')?.status === 'True';
}
