/**
 * What a replica set (or replication controller) does about its pods, and what it says about itself: pure functions of what the caches hold.
 */
import type { Pod } from '../../api/kinds.ts';
import type { V1PodTemplateSpec } from '../../api/types.ts';
import { isAvailable, readySinceMs } from '../pods.ts';
import { type Condition, conditionOf, withCondition, withoutCondition } from '../conditions.ts';
import { podsToDelete } from './ranking.ts';

/** At most so many pods are made or deleted in one pass. */
export const burst = 500;

export interface ReplicaPlan {
  readonly create: number;
  readonly delete: readonly Pod[];
}

export function planReplicas(wanted: number, active: readonly Pod[], related: readonly Pod[], nowMs: number): ReplicaPlan {
  const missing = wanted - active.length;
  if (missing > 0) return { create: Math.min(missing, burst), delete: [] };
  if (missing < 0) return { create: 0, delete: podsToDelete(active, related, Math.min(-missing, burst), nowMs) };
  return { create: 0, delete: [] };
}

/** The part of the two kinds' specs that replicas are made by. */
export interface ReplicaSpec {
  readonly replicas?: number;
  readonly minReadySeconds?: number;
  readonly template?: V1PodTemplateSpec;
}

/** What both kinds' statuses hold; `terminatingReplicas` is a replica set's alone. */
export interface ReplicaStatus<C extends Condition = Condition> {
  replicas: number;
  fullyLabeledReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  terminatingReplicas?: number;
  observedGeneration?: number;
  conditions?: C[];
}

export interface Failure {
  readonly reason: 'FailedCreate' | 'FailedDelete';
  readonly message: string;
}

/** Counts that are zero are absent on the wire, as are conditions when there are none. */
export function replicaStatus(
  old: ReplicaStatus,
  owner: { readonly spec: ReplicaSpec; readonly generation: number },
  active: readonly Pod[],
  terminating: number | undefined,
  failure: Failure | undefined,
  nowMs: number,
  now: string,
): ReplicaStatus {
  const wantedLabels = Object.entries(owner.spec.template?.metadata?.labels ?? {});
  let fullyLabeled = 0;
  let ready = 0;
  let available = 0;
  for (const pod of active) {
    if (wantedLabels.every(([key, value]) => pod.metadata.labels?.[key] === value)) fullyLabeled++;
    if (readySinceMs(pod) === undefined) continue;
    ready++;
    if (isAvailable(pod, owner.spec.minReadySeconds ?? 0, nowMs)) available++;
  }
  const conditions = failureConditions(old.conditions, failure, now);
  return {
    replicas: active.length,
    ...(fullyLabeled > 0 && { fullyLabeledReplicas: fullyLabeled }),
    ...(ready > 0 && { readyReplicas: ready }),
    ...(available > 0 && { availableReplicas: available }),
    ...(terminating !== undefined && { terminatingReplicas: terminating }),
    observedGeneration: owner.generation,
    ...(conditions.length > 0 && { conditions }),
  };
}

function failureConditions(old: readonly Condition[] | undefined, failure: Failure | undefined, now: string): Condition[] {
  if (!failure) return withoutCondition(old, 'ReplicaFailure');
  // The first failure stays until it is over: its time says since when.
  if (conditionOf(old, 'ReplicaFailure')) return [...(old ?? [])];
  return [
    ...withCondition(old, { type: 'ReplicaFailure', status: 'True', reason: failure.reason, message: failure.message, lastTransitionTime: now }),
  ];
}

/** Ms until the next ready pod has been ready for `minReadySeconds`; undefined when none is waiting for it. */
export function nextAvailableMs(active: readonly Pod[], minReadySeconds: number, nowMs: number): number | undefined {
  let next: number | undefined;
  for (const pod of active) {
    const since = readySinceMs(pod);
    if (since === undefined) continue;
    const wait = since + minReadySeconds * 1000 - nowMs;
    if (wait > 0 && (next === undefined || wait < next)) next = wait;
  }
  return next;
}
