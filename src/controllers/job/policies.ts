/** A job's own rules about when a pod's failure counts (`podFailurePolicy`) and when enough has succeeded (`successPolicy`). */
import type { Job, Pod } from '../../api/kinds.ts';
import type { V1ContainerStatus, V1PodFailurePolicyRule } from '../../api/types.ts';
import { keyOf } from '../../machinery/object.ts';
import { parseIndexes } from './indexes.ts';

export interface FailureVerdict {
  readonly counts: boolean;
  readonly action?: 'Ignore' | 'Count' | 'FailIndex' | 'FailJob';
  /** Of `FailJob`. */
  readonly message?: string;
}

/** The first rule that matches the failed pod decides; with none its failure counts. */
export function judgeFailure(job: Job, pod: Pod): FailureVerdict {
  for (const [i, rule] of (job.spec.podFailurePolicy?.rules ?? []).entries()) {
    const match = matchRule(rule, pod);
    if (match === undefined) continue;
    if (rule.action === 'FailJob') return { counts: true, action: 'FailJob', message: `${match} matching FailJob rule at index ${i}` };
    if (rule.action === 'Ignore') return { counts: false, action: 'Ignore' };
    if (rule.action === 'FailIndex' || rule.action === 'Count') return { counts: true, action: rule.action };
  }
  return { counts: true };
}

/** In words, what of the pod matches; undefined when nothing does. */
function matchRule({ onExitCodes, onPodConditions }: V1PodFailurePolicyRule, pod: Pod): string | undefined {
  if (onExitCodes) {
    const statuses: V1ContainerStatus[] = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])];
    for (const { name, state } of statuses) {
      const exitCode = state?.terminated?.exitCode ?? 0;
      if (exitCode === 0 || (onExitCodes.containerName !== undefined && onExitCodes.containerName !== name)) continue;
      if (onExitCodes.values.includes(exitCode) === (onExitCodes.operator === 'In')) {
        return `Container ${name} for pod ${keyOf(pod)} failed with exit code ${exitCode}`;
      }
    }
    return undefined;
  }
  const matching = pod.status.conditions?.find(({ type, status }) =>
    onPodConditions?.some((pattern) => pattern.type === type && (pattern.status ?? 'True') === status),
  );
  return matching && `Pod ${keyOf(pod)} has condition ${matching.type}`;
}

/** Why the job counts as succeeded though not all indexes did; undefined when it does not. */
export function matchSuccessPolicy(job: Job, succeeded: ReadonlySet<number>): string | undefined {
  if (succeeded.size === 0) return undefined;
  for (const [i, { succeededIndexes, succeededCount }] of (job.spec.successPolicy?.rules ?? []).entries()) {
    const required = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes, job.spec.completions ?? 0);
    const done = required ? [...required].filter((index) => succeeded.has(index)).length : succeeded.size;
    const needed = succeededCount ?? required?.size;
    if (needed !== undefined && done >= needed) return `Matched rules at index ${i}`;
  }
  return undefined;
}
