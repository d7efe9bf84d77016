/** How many pods of a disruption budget may be taken down now: pure functions. Upstream's `pkg/controller/disruption`. */
import type { Pod, PodDisruptionBudget } from '../../api/kinds.ts';
import type { V1PodDisruptionBudgetStatus } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { resolveIntOrPercent } from '../../machinery/int-or-percent.ts';
import { messageOf } from '../errors.ts';
import { withCondition } from '../conditions.ts';
import { isReady } from '../pods.ts';

/** How long an eviction that was granted may take to show as a deletion. */
export const evictionTimeoutMs = 2 * 60_000;

export interface BudgetSnapshot {
  readonly budget: PodDisruptionBudget;
  /** All pods the budget selects. */
  readonly pods: readonly Pod[];
  /** Replicas that the pods' controllers want together; undefined when that cannot be told. */
  readonly scale: number | undefined;
  readonly nowMs: number;
  readonly now: string;
}

export interface BudgetAnswer {
  readonly status: V1PodDisruptionBudgetStatus;
  /** When a granted eviction that did not happen is forgotten. */
  readonly requeueAfterMs: number | undefined;
  /** Pods whose eviction was granted and did not happen in time. */
  readonly notDeleted: readonly Pod[];
}

export function budgetStatus({ budget, pods, scale, nowMs, now }: BudgetSnapshot): BudgetAnswer {
  const { disruptedPods, requeueAfterMs, notDeleted } = stillDisrupted(budget, pods, nowMs);
  const currentHealthy = pods.filter(
    (pod) => pod.metadata.deletionTimestamp === undefined && isReady(pod) && disruptedPods[pod.metadata.name] === undefined,
  ).length;
  const { expected, desired } = expectations(budget, pods.length, scale ?? 0);
  const allowed = expected <= 0 ? 0 : Math.max(0, currentHealthy - desired);
  const enough = allowed > 0;
  return {
    requeueAfterMs,
    notDeleted,
    status: {
      observedGeneration: budget.metadata.generation ?? 0,
      ...(Object.keys(disruptedPods).length > 0 && { disruptedPods }),
      disruptionsAllowed: allowed,
      currentHealthy,
      desiredHealthy: desired,
      expectedPods: expected,
      conditions: [
        ...withCondition(budget.status.conditions, {
          type: 'DisruptionAllowed',
          status: enough ? 'True' : 'False',
          reason: enough ? 'SufficientPods' : 'InsufficientPods',
          message: '',
          observedGeneration: budget.metadata.generation ?? 0,
          lastTransitionTime: now,
        }),
      ],
    },
  };
}

function expectations({ spec }: PodDisruptionBudget, selected: number, scale: number): { expected: number; desired: number } {
  if (spec.maxUnavailable !== undefined) {
    return { expected: scale, desired: Math.max(0, scale - resolveIntOrPercent(spec.maxUnavailable, scale, true)) };
  }
  if (typeof spec.minAvailable === 'number') return { expected: selected, desired: spec.minAvailable };
  return { expected: scale, desired: spec.minAvailable === undefined ? 0 : resolveIntOrPercent(spec.minAvailable, scale, true) };
}

/** Whether the budget is counted in what the controllers want, not in the pods there are. */
export function needsScale({ spec }: PodDisruptionBudget): boolean {
  return spec.maxUnavailable !== undefined || typeof spec.minAvailable === 'string';
}

/** Evictions granted whose pods are not seen going yet, without those that are; and those that never happened. */
function stillDisrupted(
  { status }: PodDisruptionBudget,
  pods: readonly Pod[],
  nowMs: number,
): Omit<BudgetAnswer, 'status'> & { disruptedPods: Record<string, string> } {
  const disruptedPods: Record<string, string> = {};
  const notDeleted: Pod[] = [];
  let requeueAfterMs: number | undefined;
  for (const pod of pods) {
    const since = status.disruptedPods?.[pod.metadata.name];
    if (since === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
    const leftMs = Date.parse(since) + evictionTimeoutMs - nowMs;
    if (leftMs <= 0) {
      notDeleted.push(pod);
      continue;
    }
    disruptedPods[pod.metadata.name] = since;
    requeueAfterMs = Math.min(requeueAfterMs ?? Infinity, leftMs);
  }
  return { disruptedPods, requeueAfterMs, notDeleted };
}

/** What cannot be counted allows nothing. */
export function failSafe(budget: PodDisruptionBudget, failure: unknown, now: string): BudgetAnswer {
  const observedGeneration = budget.metadata.generation ?? 0;
  const condition = {
    type: 'DisruptionAllowed',
    status: 'False',
    reason: 'SyncFailed',
    message: messageOf(failure),
    observedGeneration,
    lastTransitionTime: now,
  };
  return {
    requeueAfterMs: undefined,
    notDeleted: [],
    status: { ...budget.status, observedGeneration, disruptionsAllowed: 0, conditions: [...withCondition(budget.status.conditions, condition)] },
  };
}

export function sameStatus(a: V1PodDisruptionBudgetStatus, b: V1PodDisruptionBudgetStatus): boolean {
  const counts = ['currentHealthy', 'desiredHealthy', 'disruptionsAllowed', 'expectedPods', 'observedGeneration'] as const;
  return (
    counts.every((name) => a[name] === b[name]) &&
    equal(a.disruptedPods ?? {}, b.disruptedPods ?? {}) &&
    equal(a.conditions ?? [], b.conditions ?? [])
  );
}
