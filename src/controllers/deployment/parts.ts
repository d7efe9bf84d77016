/**
 * A deployment's replica sets as the planning sees them: each with the size and annotations it has, free to be changed on paper. The differences to
 * what exists become the writes.
 */
import type { Deployment, ReplicaSet } from '../../api/kinds.ts';
import type { V1PodTemplateSpec } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas';
export const hashLabel = 'pod-template-hash';

/** Annotations a deployment keeps to itself; all others are passed on to its replica sets. */
const ownAnnotations: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  'deprecated.deployment.rollback.to',
]);

const revisionHistoryLimitCharacters = 2000;

export interface Part {
  /** Absent for the replica set about to be made. */
  readonly existing: ReplicaSet | undefined;
  readonly name: string;
  readonly createdMs: number;
  /** Pods counted by the replica set itself. */
  readonly observed: { readonly replicas: number; readonly ready: number; readonly available: number; readonly terminating: number };
  replicas: number;
  minReadySeconds: number;
  annotations: Record<string, string>;
}

export function partOf(replicaSet: ReplicaSet): Part {
  const { status, spec, metadata } = replicaSet;
  return {
    existing: replicaSet,
    name: metadata.name,
    createdMs: Date.parse(metadata.creationTimestamp),
    observed: {
      replicas: status.replicas,
      ready: status.readyReplicas ?? 0,
      available: status.availableReplicas ?? 0,
      terminating: status.terminatingReplicas ?? 0,
    },
    replicas: spec.replicas ?? 1,
    minReadySeconds: spec.minReadySeconds ?? 0,
    annotations: metadata.annotations ?? {},
  };
}

/** The replica set of the deployment's present template, and all others. Of several with the same template the oldest counts as the new one. */
export function splitParts(deployment: Deployment, parts: readonly Part[]): { current: Part | undefined; old: Part[] } {
  const sorted = [...parts].sort(olderFirst);
  const current = sorted.find((part) => part.existing?.spec.template && sameTemplate(part.existing.spec.template, deployment.spec.template));
  return { current, old: sorted.filter((part) => part !== current) };
}

/** Whether two templates make the same pods: the hash label, which only replica sets' templates have, is left out. */
export function sameTemplate(a: V1PodTemplateSpec, b: V1PodTemplateSpec): boolean {
  return equal(withoutHash(a), withoutHash(b));
}

function withoutHash(template: V1PodTemplateSpec): V1PodTemplateSpec {
  if (template.metadata?.labels?.[hashLabel] === undefined) return template;
  const { [hashLabel]: _, ...labels } = template.metadata.labels;
  return { ...template, metadata: { ...template.metadata, labels } };
}

export function olderFirst(a: Part, b: Part): number {
  return a.createdMs - b.createdMs || (a.name < b.name ? -1 : 1);
}

export function isScaledUp(part: Part): boolean {
  return part.replicas > 0;
}

/** A 64-bit number, which a `number` does not hold exactly; zero for what is none. */
export function revisionOf(annotations: Readonly<Record<string, string>> | undefined): bigint {
  const text = annotations?.[revisionAnnotation];
  const revision = text !== undefined && /^[0-9]{1,19}$/.test(text) ? BigInt(text) : 0n;
  return revision < 2n ** 63n ? revision : 0n;
}

export function totalReplicas(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.replicas, 0);
}

export function totalAvailable(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.observed.available, 0);
}

/** Passes annotations on and gives the replica set its revision; one that is taken up again remembers the revisions it had. */
export function markAsRevision(part: Part, deployment: Deployment, revision: bigint): void {
  const annotations = { ...part.annotations };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) if (!ownAnnotations.has(key)) annotations[key] = value;

  const previous = annotations[revisionAnnotation];
  if (previous === undefined || revisionOf(annotations) < revision) {
    annotations[revisionAnnotation] = String(revision);
    if (previous !== undefined && previous !== '') {
      annotations[revisionHistoryAnnotation] = longerHistory(annotations[revisionHistoryAnnotation], previous);
    }
  }
  part.annotations = annotations;
}

function longerHistory(history: string | undefined, revision: string): string {
  const revisions = history === undefined || history === '' ? [] : history.split(',');
  revisions.push(revision);
  while (revisions.length > 1 && revisions.join(',').length > revisionHistoryLimitCharacters) revisions.shift();
  return revisions.join(',');
}
