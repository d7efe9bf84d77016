/** A job's pods: what is on them that the job counts by, and how one is made. */
import type { Job, Pod } from '../../api/kinds.ts';
import type { V1Container, V1EnvVar } from '../../api/types.ts';
import type { Draft } from '../../machinery/object.ts';
import { controllerReference, podFromTemplate } from '../pods.ts';

/** Keeps an ended pod until the job has counted it. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
/** On pods, as annotation and as label. */
export const completionIndexKey = 'batch.kubernetes.io/job-completion-index';
export const indexFailuresAnnotation = 'batch.kubernetes.io/job-index-failure-count';
export const ignoredIndexFailuresAnnotation = 'batch.kubernetes.io/job-index-ignored-failure-count';
const indexVariable = 'JOB_COMPLETION_INDEX';

/** Hands out indexes: each is to succeed once. */
export function isIndexed(job: Job): boolean {
  return job.spec.completionMode === 'Indexed';
}

export function completionIndexOf(pod: Pod): number | undefined {
  return countIn(pod, completionIndexKey);
}

export function indexFailuresOf(pod: Pod): number {
  return countIn(pod, indexFailuresAnnotation) ?? 0;
}

export function ignoredIndexFailuresOf(pod: Pod): number {
  return countIn(pod, ignoredIndexFailuresAnnotation) ?? 0;
}

function countIn(pod: Pod, annotation: string): number | undefined {
  const text = pod.metadata.annotations?.[annotation];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

export function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) === true;
}

/** A replacement is made only when the old pod has ended, not when it begins to. */
export function replacesOnlyFailed(job: Job): boolean {
  return job.spec.podReplacementPolicy === 'Failed';
}

/** Pods that are deleted before they end count too: some never get to say that they failed. */
export function countsAsFailed(job: Job, pod: Pod): boolean {
  if (pod.status.phase === 'Failed') return true;
  if (replacesOnlyFailed(job)) return false;
  return pod.metadata.deletionTimestamp !== undefined && pod.status.phase !== 'Succeeded';
}

/** When the pod ended, as far as it can be told. */
export function finishedMs(pod: Pod, nowMs: number): number {
  let latest: number | undefined;
  for (const { state } of [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])]) {
    const at = state?.terminated?.finishedAt;
    if (at !== undefined && (latest === undefined || Date.parse(at) > latest)) latest = Date.parse(at);
  }
  if (latest !== undefined) return latest;
  const notReady = pod.status.conditions?.find(({ type, status }) => type === 'Ready' && status === 'False')?.lastTransitionTime;
  if (notReady !== undefined) return Date.parse(notReady);
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  // That time is when the pod is to be gone; it was asked to go before.
  return deletionTimestamp === undefined ? nowMs : Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
}

export interface NewPod {
  readonly index?: number;
  /** Failures of the index so far, for jobs that limit them per index. */
  readonly failures?: number;
  readonly ignoredFailures?: number;
}

export function jobPod(job: Job, { index, failures, ignoredFailures }: NewPod): Draft<Pod> {
  const prefix = index === undefined ? `${job.metadata.name}-` : `${job.metadata.name}-${index}-`;
  const draft = podFromTemplate(job.spec.template, job.metadata.namespace, prefix, controllerReference(job));
  const finalizers = [...new Set([...(draft.metadata.finalizers ?? []), trackingFinalizer])];
  if (index === undefined) return { ...draft, metadata: { ...draft.metadata, finalizers } };
  const { initContainers, containers } = draft.spec;
  return {
    ...draft,
    metadata: {
      ...draft.metadata,
      finalizers,
      labels: { ...draft.metadata.labels, [completionIndexKey]: String(index) },
      annotations: {
        ...draft.metadata.annotations,
        [completionIndexKey]: String(index),
        ...(failures !== undefined && { [indexFailuresAnnotation]: String(failures) }),
        ...(ignoredFailures !== undefined && ignoredFailures > 0 && { [ignoredIndexFailuresAnnotation]: String(ignoredFailures) }),
      },
    },
    spec: {
      ...draft.spec,
      hostname: `${job.metadata.name}-${index}`,
      ...(initContainers && { initContainers: initContainers.map(withIndexVariable) }),
      containers: containers.map(withIndexVariable),
    },
  };
}

function withIndexVariable(container: V1Container): V1Container {
  if (container.env?.some(({ name }) => name === indexVariable)) return container;
  const variable: V1EnvVar = { name: indexVariable, valueFrom: { fieldRef: { fieldPath: `metadata.labels['${completionIndexKey}']` } } };
  return { ...container, env: [...(container.env ?? []), variable] };
}
