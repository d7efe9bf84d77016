/**
 * What a deployment says about itself: counts, and the conditions Available, Progressing and ReplicaFailure with the reasons that
 * `kubectl rollout status` reads. Upstream's `progress.go`.
 */
import type { Deployment } from '../../api/kinds.ts';
import type { V1DeploymentCondition, V1DeploymentStatus } from '../../api/types.ts';
import { conditionOf, withCondition, withoutCondition } from '../conditions.ts';
import { type Part, totalReplicas } from './parts.ts';
import type { Limits } from './scaling.ts';

/** The value that stands for "no deadline", as the API has it. */
const noDeadlineSeconds = 2 ** 31 - 1;

export type Conditions = readonly V1DeploymentCondition[];

export function hasDeadline({ spec }: Deployment): boolean {
  return spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== noDeadlineSeconds;
}

export function progressing(status: 'True' | 'False' | 'Unknown', reason: string, message: string, now: string): V1DeploymentCondition {
  return { type: 'Progressing', status, reason, message, lastUpdateTime: now, lastTransitionTime: now };
}

/** Notes that the deployment was paused or resumed, so that the clock of the deadline starts anew. */
export function notePause(deployment: Deployment, conditions: Conditions, now: string): Conditions {
  if (!hasDeadline(deployment)) return conditions;
  const reason = conditionOf(conditions, 'Progressing')?.reason;
  if (reason === 'ProgressDeadlineExceeded') return conditions;
  const paused = deployment.spec.paused === true;
  if (paused && reason !== 'DeploymentPaused') {
    return withCondition(conditions, progressing('Unknown', 'DeploymentPaused', 'Deployment is paused', now));
  }
  if (!paused && reason === 'DeploymentPaused') {
    return withCondition(conditions, progressing('Unknown', 'DeploymentResumed', 'Deployment is resumed', now));
  }
  return conditions;
}

/** Counts and the Available condition. Counts that are zero are absent on the wire. */
export function countedStatus(
  deployment: Deployment,
  current: Part | undefined,
  all: readonly Part[],
  conditions: Conditions,
  limits: Limits,
  now: string,
): V1DeploymentStatus {
  const sum = (read: (part: Part) => number): number => all.reduce((total, part) => total + read(part), 0);
  const replicas = sum((part) => part.observed.replicas);
  const updated = current?.observed.replicas ?? 0;
  const ready = sum((part) => part.observed.ready);
  const available = sum((part) => part.observed.available);
  const unavailable = Math.max(0, totalReplicas(all) - available);
  const enough = available >= limits.wanted - limits.unavailable;
  const { collisionCount } = deployment.status;
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...(replicas > 0 && { replicas }),
    ...(updated > 0 && { updatedReplicas: updated }),
    ...(ready > 0 && { readyReplicas: ready }),
    ...(available > 0 && { availableReplicas: available }),
    ...(unavailable > 0 && { unavailableReplicas: unavailable }),
    terminatingReplicas: sum((part) => part.observed.terminating),
    ...(collisionCount !== undefined && { collisionCount }),
    conditions: [
      ...withCondition(conditions, {
        type: 'Available',
        status: enough ? 'True' : 'False',
        reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
        message: enough ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
        lastUpdateTime: now,
        lastTransitionTime: now,
      }),
    ],
  };
}

/** The status with the Progressing and ReplicaFailure conditions brought up to date. */
export function withProgress(
  deployment: Deployment,
  status: V1DeploymentStatus,
  current: Part | undefined,
  all: readonly Part[],
  nowMs: number,
  now: string,
): V1DeploymentStatus {
  let conditions: Conditions = status.conditions ?? [];
  const before = conditionOf(conditions, 'Progressing');
  const wasComplete = before?.reason === 'NewReplicaSetAvailable' && (status.replicas ?? 0) === (status.updatedReplicas ?? 0);
  if (!hasDeadline(deployment)) {
    conditions = withoutCondition(conditions, 'Progressing');
  } else if (!wasComplete) {
    const what = current ? `ReplicaSet "${current.name}"` : `Deployment "${deployment.metadata.name}"`;
    if (isComplete(deployment, status)) {
      conditions = withCondition(conditions, progressing('True', 'NewReplicaSetAvailable', `${what} has successfully progressed.`, now));
    } else if (hasProgressed(deployment.status, status)) {
      const next = progressing('True', 'ReplicaSetUpdated', `${what} is progressing.`, now);
      if (before?.status === 'True') next.lastTransitionTime = before.lastTransitionTime;
      // The time of the last progress moves even when nothing else in the condition does.
      conditions = [...withoutCondition(conditions, 'Progressing'), next];
    } else if (hasTimedOut(deployment, before, nowMs)) {
      conditions = withCondition(conditions, progressing('False', 'ProgressDeadlineExceeded', `${what} has timed out progressing.`, now));
    }
  }

  const failure = replicaFailure(current, all);
  conditions = failure ? withCondition(conditions, failure) : withoutCondition(conditions, 'ReplicaFailure');
  return { ...status, conditions: [...conditions] };
}

export function isComplete(deployment: Deployment, status: V1DeploymentStatus): boolean {
  const wanted = deployment.spec.replicas ?? 1;
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function hasProgressed(old: V1DeploymentStatus, next: V1DeploymentStatus): boolean {
  const outdated = (status: V1DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (next.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    outdated(next) < outdated(old) ||
    (next.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

function hasTimedOut(deployment: Deployment, condition: V1DeploymentCondition | undefined, nowMs: number): boolean {
  if (!condition || condition.reason === 'NewReplicaSetAvailable') return false;
  if (condition.reason === 'ProgressDeadlineExceeded') return true;
  return deadlineMs(deployment, condition) < nowMs;
}

function deadlineMs(deployment: Deployment, condition: V1DeploymentCondition): number {
  return Date.parse(condition.lastUpdateTime ?? deployment.metadata.creationTimestamp) + (deployment.spec.progressDeadlineSeconds ?? 0) * 1000;
}

/** When to look again for want of progress; undefined when nothing is under way. */
export function deadlineCheckMs(deployment: Deployment, status: V1DeploymentStatus, nowMs: number): number | undefined {
  const condition = conditionOf(status.conditions, 'Progressing');
  if (!hasDeadline(deployment) || !condition) return undefined;
  if (isComplete(deployment, status) || condition.reason === 'ProgressDeadlineExceeded') return undefined;
  // A second later than due, so that whole-second times are surely past.
  return Math.max(0, deadlineMs(deployment, condition) - nowMs) + 1000;
}

/** A replica set that cannot make pods; the new one's word counts first. */
function replicaFailure(current: Part | undefined, all: readonly Part[]): V1DeploymentCondition | undefined {
  for (const part of current ? [current, ...all] : all) {
    const failure = conditionOf(part.existing?.status.conditions, 'ReplicaFailure');
    if (failure) return { ...failure, lastUpdateTime: failure.lastTransitionTime };
  }
  return undefined;
}
