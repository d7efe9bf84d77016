/**
 * One step of a stateful set: which pods to make, correct or delete now, given what the caches hold. In ordered sets one step at a time, each
 * waiting for all pods before it; in parallel ones as much as there is. Upstream's `updateStatefulSet`, as a pure function.
 */
import type { Pod, StatefulSet } from '../../api/kinds.ts';
import type { V1StatefulSetStatus } from '../../api/types.ts';
import { resolveIntOrPercent } from '../../machinery/int-or-percent.ts';
import { isAvailable, isReady, readySinceMs } from '../pods.ts';
import { revisionHashLabel } from '../revisions.ts';
import { ordinalOf } from './identity.ts';

/** At most so many pods are made in one pass: a set may ask for more than anybody can have. */
const burst = 500;

export interface StatefulView {
  readonly set: StatefulSet;
  /** The set's own pods. */
  readonly pods: readonly Pod[];
  /** Names of the revisions pods below the partition, and all others, are made of. */
  readonly currentRevision: string;
  readonly updateRevision: string;
  readonly nowMs: number;
  /** Whether a claim of the ordinal still belongs to an earlier pod. */
  readonly waitsForClaims: (ordinal: number) => boolean;
  /** Whether it is too early to replace the ordinal's failed pod, because it failed before. */
  readonly backsOff: (ordinal: number) => boolean;
}

export type StatefulStep =
  | { readonly do: 'create'; readonly ordinal: number; readonly revision: string }
  /** Labels, claims and their owners are made right. */
  | { readonly do: 'correct'; readonly pod: Pod; readonly ordinal: number }
  | { readonly do: 'delete'; readonly pod: Pod; readonly why: 'failed' | 'ended' | 'scaled' | 'updated'; readonly ordinal: number };

export function planStatefulSet(view: StatefulView): readonly StatefulStep[] {
  const { set, pods, nowMs } = view;
  if (set.metadata.deletionTimestamp !== undefined) return [];
  const start = set.spec.ordinals?.start ?? 0;
  const count = set.spec.replicas ?? 1;
  const ordered = set.spec.podManagementPolicy !== 'Parallel';
  const minReady = set.spec.minReadySeconds ?? 0;
  const serves = (pod: Pod): boolean => isRunningAndReady(pod) && isAvailable(pod, minReady, nowMs);

  const byOrdinal = new Map<number, Pod>();
  for (const pod of pods) {
    const ordinal = ordinalOf(set.metadata.name, pod.metadata.name);
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod);
  }
  const steps: StatefulStep[] = [];
  const inOrdinalOrder = [...byOrdinal].sort(([a], [b]) => a - b);

  let missing = 0;
  for (let ordinal = start; ordinal < start + count; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) {
      if (++missing > burst) break;
      // No more can be done this round: the garbage collector must take the claim first.
      if (view.waitsForClaims(ordinal)) return steps;
      steps.push({ do: 'create', ordinal, revision: revisionForNew(view, ordinal) });
      if (ordered) return steps;
      continue;
    }
    if (pod.status.phase === 'Failed' || pod.status.phase === 'Succeeded') {
      const isFailed = pod.status.phase === 'Failed';
      if (!isLeaving(pod) && !(isFailed && view.backsOff(ordinal))) steps.push({ do: 'delete', pod, ordinal, why: isFailed ? 'failed' : 'ended' });
      if (ordered) return steps;
      continue;
    }
    if (ordered && isLeaving(pod)) return steps;
    steps.push({ do: 'correct', pod, ordinal });
    if (ordered && !serves(pod)) return steps;
  }

  const condemned = inOrdinalOrder.filter(([ordinal]) => ordinal < start || ordinal >= start + count).reverse();
  const wantedPods = inOrdinalOrder.filter(([ordinal]) => ordinal >= start && ordinal < start + count);
  // Ordered sets stop at an unhealthy pod, unless it is the very one that holds everything up.
  const firstUnhealthy = [...wantedPods, ...condemned.toReversed()].find(([, pod]) => !isHealthy(pod))?.[1];
  for (const [ordinal, pod] of condemned) {
    if (isLeaving(pod)) {
      if (ordered) return steps;
      continue;
    }
    if (ordered && pod !== firstUnhealthy && !serves(pod)) return steps;
    steps.push({ do: 'delete', pod, ordinal, why: 'scaled' });
    if (ordered) return steps;
  }

  if (set.spec.updateStrategy?.type === 'OnDelete' || steps.some((step) => step.do === 'delete')) return steps;
  steps.push(...updateSteps(view, byOrdinal, serves));
  return steps;
}

/** From the highest ordinal down to the partition, the pods of another revision make way, one by one or as `maxUnavailable` allows. */
function updateSteps({ set, updateRevision }: StatefulView, byOrdinal: ReadonlyMap<number, Pod>, serves: (pod: Pod) => boolean): StatefulStep[] {
  const start = set.spec.ordinals?.start ?? 0;
  const count = set.spec.replicas ?? 1;
  const { partition = 0, maxUnavailable } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const lowest = start + partition;
  const limit = maxUnavailable === undefined ? 1 : Math.max(1, resolveIntOrPercent(maxUnavailable, count, false));
  const steps: StatefulStep[] = [];
  const isOld = (pod: Pod): boolean => pod.metadata.labels?.[revisionHashLabel] !== updateRevision;
  if (limit === 1) {
    for (let ordinal = start + count - 1; ordinal >= lowest; ordinal--) {
      const pod = byOrdinal.get(ordinal);
      if (!pod) return steps;
      if (isOld(pod) && !isLeaving(pod)) return [{ do: 'delete', pod, ordinal, why: 'updated' }];
      if (!isHealthy(pod) || !serves(pod)) return steps;
    }
    return steps;
  }
  const wanted = [...byOrdinal].filter(([ordinal]) => ordinal >= start && ordinal < start + count).sort(([a], [b]) => b - a);
  let unavailable = count - wanted.filter(([, pod]) => !isLeaving(pod) && serves(pod)).length;
  for (const [ordinal, pod] of wanted) {
    if (ordinal < lowest) break;
    if (!isOld(pod) || isLeaving(pod)) continue;
    if (serves(pod) && unavailable++ >= limit) break;
    steps.push({ do: 'delete', pod, ordinal, why: 'updated' });
  }
  return steps;
}

/** Below the partition the old revision is kept, also for pods made anew. */
function revisionForNew({ set, currentRevision, updateRevision }: StatefulView, ordinal: number): string {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {};
  if (type === 'OnDelete') return updateRevision;
  return ordinal < (set.spec.ordinals?.start ?? 0) + (rollingUpdate?.partition ?? 0) ? currentRevision : updateRevision;
}

export function statefulStatus(
  { set, pods, currentRevision, updateRevision, nowMs }: StatefulView,
  collisionCount: number | undefined,
): V1StatefulSetStatus {
  let [replicas, ready, available, current, updated] = [0, 0, 0, 0, 0];
  for (const pod of pods) {
    if (ordinalOf(set.metadata.name, pod.metadata.name) === undefined) continue;
    replicas++;
    if (isRunningAndReady(pod)) {
      ready++;
      if (isAvailable(pod, set.spec.minReadySeconds ?? 0, nowMs)) available++;
    }
    if (isLeaving(pod)) continue;
    const revision = pod.metadata.labels?.[revisionHashLabel];
    if (revision === currentRevision) current++;
    if (revision === updateRevision) updated++;
  }
  // When every pod is of the new revision and ready, that is the current one.
  const complete =
    set.spec.updateStrategy?.type !== 'OnDelete' && updated === replicas && ready === replicas && replicas === (set.spec.replicas ?? 1);
  const now = complete ? updateRevision : currentRevision;
  if (complete) current = updated;
  return {
    observedGeneration: set.metadata.generation ?? 0,
    replicas,
    ...(ready > 0 && { readyReplicas: ready }),
    availableReplicas: available,
    ...(current > 0 && { currentReplicas: current }),
    ...(updated > 0 && { updatedReplicas: updated }),
    currentRevision: now,
    updateRevision,
    ...(collisionCount !== undefined && { collisionCount }),
    ...(set.status.conditions !== undefined && { conditions: set.status.conditions }),
  };
}

/** Ms until the next pod has been ready for `minReadySeconds`. */
export function nextAvailableMs({ set, pods, nowMs }: StatefulView): number | undefined {
  const waits = pods.flatMap((pod) => {
    const since = readySinceMs(pod);
    const wait = since === undefined ? 0 : since + (set.spec.minReadySeconds ?? 0) * 1000 - nowMs;
    return wait > 0 ? [wait] : [];
  });
  return waits.length === 0 ? undefined : Math.min(...waits);
}

function isLeaving(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

function isRunningAndReady(pod: Pod): boolean {
  return pod.status.phase === 'Running' && isReady(pod);
}

function isHealthy(pod: Pod): boolean {
  return isRunningAndReady(pod) && !isLeaving(pod);
}
