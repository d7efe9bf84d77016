/**
 * What a deployment does next, as data: which replica set to make, which to resize, which to forget, and the status that follows. A pure function of
 * the deployment, its replica sets and whether old pods still run.
 */
import type { Deployment, ReplicaSet } from '../../api/kinds.ts';
import type { V1DeploymentStatus } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { podTemplateHash } from '../../machinery/hash.ts';
import type { Draft } from '../../machinery/object.ts';
import { timestamp } from '../../world/world.ts';
import { conditionOf, withCondition } from '../conditions.ts';
import { controllerReference } from '../pods.ts';
import { type Part, hashLabel, markAsRevision, partOf, revisionAnnotation, revisionOf, splitParts } from './parts.ts';
import { type Limits, limitsOf, resize, roll, scale, sizeOfCurrent, stopOld, wasScaled } from './scaling.ts';
import { type Conditions, countedStatus, deadlineCheckMs, hasDeadline, isComplete, notePause, progressing, withProgress } from './status.ts';

/** The value of `revisionHistoryLimit` that stands for "keep all". */
const keepAll = 2 ** 31 - 1;

export interface DeploymentSnapshot {
  readonly deployment: Deployment;
  readonly replicaSets: readonly ReplicaSet[];
  /** The replica set that controls each pod not yet ended, by UID: what a Recreate waits for. */
  readonly runningPodsOf: (replicaSet: ReplicaSet) => number;
  readonly nowMs: number;
}

export interface DeploymentPlan {
  readonly create: (Draft<ReplicaSet> & { metadata: { name: string } }) | undefined;
  readonly update: readonly Resize[];
  readonly delete: readonly ReplicaSet[];
  /** The revision the deployment itself is to be annotated with, when it is not. */
  readonly revision: string | undefined;
  readonly status: V1DeploymentStatus;
  readonly requeueAfterMs: number | undefined;
}

export interface Resize {
  readonly before: ReplicaSet;
  readonly after: ReplicaSet;
}

export function planDeployment({ deployment, replicaSets, runningPodsOf, nowMs }: DeploymentSnapshot): DeploymentPlan {
  const now = timestamp(nowMs);
  const limits = limitsOf(deployment);
  const parts = replicaSets.map(partOf);
  const { current: found, old } = splitParts(deployment, parts);
  let current = found;
  let forgotten: ReplicaSet[] = [];
  let conditions: Conditions = deployment.status.conditions ?? [];
  let followsProgress = false;

  const leaving = deployment.metadata.deletionTimestamp !== undefined;
  if (!leaving) conditions = notePause(deployment, conditions, now);

  const revision = old.map((part) => revisionOf(part.annotations)).reduce((highest, one) => (one > highest ? one : highest), 0n) + 1n;
  if (current) {
    markAsRevision(current, deployment, revision);
    current.minReadySeconds = deployment.spec.minReadySeconds ?? 0;
    if (hasDeadline(deployment) && !conditionOf(conditions, 'Progressing')) {
      conditions = withCondition(conditions, progressing('True', 'FoundNewReplicaSet', `Found new replica set "${current.name}"`, now));
    }
  }
  const make = (): Part => {
    const made = newPart(deployment, revision, old, limits, nowMs);
    if (hasDeadline(deployment)) {
      conditions = withCondition(conditions, progressing('True', 'NewReplicaSetCreated', `Created new replica set "${made.name}"`, now));
    }
    return made;
  };

  const all = (): Part[] => (current ? [current, ...old] : old);
  const complete = (): boolean => isComplete(deployment, countedStatus(deployment, current, all(), conditions, limits, now));

  if (!leaving) {
    if (deployment.spec.paused || wasScaled(all(), limits)) {
      scale(current, old, limits);
      if (deployment.spec.paused) forgotten = beyondHistory(deployment, old);
    } else if (limits.rolling) {
      followsProgress = true;
      current ??= make();
      roll(current, old, limits);
      if (complete()) forgotten = beyondHistory(deployment, old);
    } else {
      followsProgress = true;
      const stopping = stopOld(old, limits);
      if (!stopping && old.every((part) => !part.existing || runningPodsOf(part.existing) === 0)) {
        current ??= make();
        if (current.replicas !== limits.wanted) resize(current, limits.wanted, limits);
        if (complete()) forgotten = beyondHistory(deployment, old);
      }
    }
  }

  const counted = countedStatus(deployment, current, all(), conditions, limits, now);
  const status = followsProgress ? withProgress(deployment, counted, current, all(), nowMs, now) : counted;
  const annotated = current?.annotations[revisionAnnotation];
  return {
    create: current && !current.existing ? draftOf(deployment, current) : undefined,
    update: all().flatMap(changed),
    delete: forgotten,
    revision: annotated !== deployment.metadata.annotations?.[revisionAnnotation] ? annotated : undefined,
    status,
    requeueAfterMs: followsProgress ? deadlineCheckMs(deployment, status, nowMs) : undefined,
  };
}

function newPart(deployment: Deployment, revision: bigint, old: readonly Part[], limits: Limits, nowMs: number): Part {
  const hash = podTemplateHash(deployment.spec.template, deployment.status.collisionCount);
  const part: Part = {
    existing: undefined,
    name: `${deployment.metadata.name}-${hash}`,
    createdMs: nowMs,
    observed: { replicas: 0, ready: 0, available: 0, terminating: 0 },
    replicas: 0,
    minReadySeconds: deployment.spec.minReadySeconds ?? 0,
    annotations: {},
  };
  markAsRevision(part, deployment, revision);
  resize(part, sizeOfCurrent(old, 0, limits), limits);
  return part;
}

function draftOf(deployment: Deployment, part: Part): Draft<ReplicaSet> & { metadata: { name: string } } {
  const { template, selector } = deployment.spec;
  const hash = part.name.slice(deployment.metadata.name.length + 1);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  return {
    metadata: {
      name: part.name,
      namespace: deployment.metadata.namespace,
      labels,
      annotations: part.annotations,
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: part.replicas,
      ...(part.minReadySeconds > 0 && { minReadySeconds: part.minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

function changed(part: Part): Resize[] {
  const before = part.existing;
  if (!before) return [];
  const same =
    part.replicas === (before.spec.replicas ?? 1) &&
    part.minReadySeconds === (before.spec.minReadySeconds ?? 0) &&
    equal(part.annotations, before.metadata.annotations ?? {});
  if (same) return [];
  const after: ReplicaSet = {
    ...before,
    metadata: { ...before.metadata, annotations: part.annotations },
    spec: { ...before.spec, replicas: part.replicas, minReadySeconds: part.minReadySeconds },
  };
  return [{ before, after }];
}

/** Old replica sets past `revisionHistoryLimit`, the oldest revisions first; none that still has or expects pods. */
function beyondHistory(deployment: Deployment, old: readonly Part[]): ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit ?? 10;
  if (limit === keepAll) return [];
  const alive = old.filter((part) => part.existing && part.existing.metadata.deletionTimestamp === undefined);
  return alive
    .sort((a, b) => Number(revisionOf(a.annotations) - revisionOf(b.annotations)))
    .slice(0, Math.max(0, alive.length - limit))
    .flatMap(({ existing, replicas, observed }) => {
      if (!existing || replicas !== 0 || observed.replicas !== 0) return [];
      return (existing.metadata.generation ?? 0) > (existing.status.observedGeneration ?? 0) ? [] : [existing];
    });
}
