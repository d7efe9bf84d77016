/**
 * Rules for a pod as a whole, new or changed: most of a pod's spec is fixed once it exists. Follows `ValidatePodCreate`, `ValidatePodUpdate` and
 * `ValidatePodStatusUpdate`.
 */
import { clone } from '../../machinery/clone.ts';
import { equal } from '../../machinery/equal.ts';
import { at, forbiddenField, invalidValue, type FieldError } from '../../machinery/field-error.ts';
import { labels } from '../field-checks.ts';
import type { V1Container, V1ContainerStatus, V1Pod, V1PodSpec, V1Toleration } from '../types.ts';
import { validateAffinity } from './validate-scheduling.ts';
import { forbidEphemeral, validatePodSpec } from './validate-spec.ts';

export function validateNewPod(pod: V1Pod): FieldError[] {
  const errors = [...validatePodSpec('spec', pod.spec), ...forbidEphemeral('spec', pod.spec)];
  if ((pod.spec.schedulingGates ?? []).length > 0 && (pod.spec.nodeName ?? '') !== '') {
    errors.push(forbiddenField('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
  return errors;
}

const onlyThese = [
  'pod updates may not change fields other than',
  '`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,',
  '`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(' ');

export function validatePodUpdate(pod: V1Pod, old: V1Pod): FieldError[] {
  const errors: FieldError[] = [];
  const { spec } = pod;
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list] ?? []).length !== (old.spec[list] ?? []).length) {
      return [forbiddenField(`spec.${list}`, 'pod updates may not add or remove containers')];
    }
    for (const [index, { image = '' }] of (spec[list] ?? []).entries()) {
      if (image.trim() === '')
        errors.push(invalidValue(`${at(`spec.${list}`, index)}.image`, image, 'must not be empty or have leading or trailing whitespace'));
    }
  }
  errors.push(...validateDeadline(spec.activeDeadlineSeconds, old.spec.activeDeadlineSeconds));
  const gated = (old.spec.schedulingGates ?? []).length > 0;
  errors.push(...validateTolerationsGrow(spec.tolerations ?? [], old.spec.tolerations ?? []), ...validateGatesShrink(spec, old.spec));
  if (gated) errors.push(...labels('spec.nodeSelector', spec.nodeSelector), ...validateNarrowing(spec, old.spec));
  if (errors.length > 0) return errors;
  const same = withChangeable(spec, old.spec, gated);
  return equal(same, old.spec) ? errors : [...errors, forbiddenField('spec', `${onlyThese}\n${describeChange(same, old.spec)}`)];
}

/** The new spec with what may change put back as it was: equal to the old one if nothing else did. */
function withChangeable(spec: V1PodSpec, old: V1PodSpec, gated: boolean): V1PodSpec {
  const same = clone(spec);
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [index, container] of (same[list] ?? []).entries()) {
      const before: V1Container | undefined = old[list]?.[index];
      if (before?.image === undefined) delete container.image;
      else container.image = before.image;
    }
  }
  const restore = (name: keyof V1PodSpec): void => {
    Object.assign(same, { [name]: old[name] });
  };
  restore('activeDeadlineSeconds');
  restore('tolerations');
  restore('schedulingGates');
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) restore('terminationGracePeriodSeconds');
  // Before it may be scheduled, where it may run can still be narrowed: that has been judged.
  if (!gated) return same;
  restore('nodeSelector');
  if (old.affinity?.nodeAffinity === undefined) {
    if (same.affinity !== undefined) delete same.affinity.nodeAffinity;
  } else {
    same.affinity = { ...same.affinity, nodeAffinity: old.affinity.nodeAffinity };
  }
  if (old.affinity === undefined && same.affinity !== undefined && Object.keys(same.affinity).length === 0) delete same.affinity;
  return same;
}

const onlyAdditions = 'only additions are allowed (no mutations or deletions)';

/** A pod behind a scheduling gate may be given more conditions on its node, and none of those it has may be lifted. */
function validateNarrowing(spec: V1PodSpec, old: V1PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (!Object.entries(old.nodeSelector ?? {}).every(([key, value]) => spec.nodeSelector?.[key] === value))
    errors.push(invalidValue('spec.nodeSelector', spec.nodeSelector ?? {}, onlyAdditions));
  errors.push(...validateAffinity('spec.affinity', spec.affinity));
  const [now, before] = [spec, old].map(({ affinity }) => affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms);
  if (before === undefined || before.length === 0) return errors;
  const field = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';
  if ((now ?? []).length !== before.length) {
    const why = 'no additions/deletions to non-empty NodeSelectorTerms list are allowed';
    return [...errors, invalidValue(field, now ?? null, why)];
  }
  for (const [index, term] of before.entries()) {
    const narrowed = now?.[index];
    if (!beginsWith(narrowed?.matchExpressions, term.matchExpressions) || !beginsWith(narrowed?.matchFields, term.matchFields))
      errors.push(invalidValue(at(field, index), narrowed ?? null, onlyAdditions));
  }
  return errors;
}

function beginsWith(list: readonly unknown[] = [], start: readonly unknown[] = []): boolean {
  return start.every((item, index) => equal(item, list[index]));
}

function describeChange(spec: V1PodSpec, old: V1PodSpec): string {
  const fields = new Set([...Object.keys(spec), ...Object.keys(old)]) as Set<keyof V1PodSpec>;
  const lines: string[] = [];
  for (const field of [...fields].toSorted()) {
    if (equal(spec[field], old[field])) continue;
    lines.push(`- ${field}: ${JSON.stringify(old[field]) ?? 'absent'}`, `+ ${field}: ${JSON.stringify(spec[field]) ?? 'absent'}`);
  }
  return lines.join('\n');
}

function validateDeadline(seconds: number | undefined, old: number | undefined): FieldError[] {
  const field = 'spec.activeDeadlineSeconds';
  if (seconds === undefined) return old === undefined ? [] : [invalidValue(field, null, 'must not update from a positive integer to nil value')];
  if (seconds < 0 || seconds > 2147483647) return [invalidValue(field, seconds, 'must be between 0 and 2147483647, inclusive')];
  return old !== undefined && old < seconds ? [invalidValue(field, seconds, 'must be less than or equal to previous value')] : [];
}

/** Tolerations may be added and their seconds changed, none taken away. */
function validateTolerationsGrow(tolerations: readonly V1Toleration[], old: readonly V1Toleration[]): FieldError[] {
  const isSame = (a: V1Toleration, b: V1Toleration): boolean => equal({ ...a, tolerationSeconds: b.tolerationSeconds }, b);
  const kept = old.every((before) => tolerations.some((now) => isSame(now, before)));
  return kept ? [] : [forbiddenField('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
}

function validateGatesShrink(spec: V1PodSpec, old: V1PodSpec): FieldError[] {
  const before = new Set((old.schedulingGates ?? []).map(({ name }) => name));
  const added = (spec.schedulingGates ?? []).filter(({ name }) => !before.has(name));
  return added.length === 0 ? [] : [forbiddenField('spec.schedulingGates', 'only deletion is allowed, but found new scheduling gate')];
}

export function validatePodStatus(pod: V1Pod, old: V1Pod): FieldError[] {
  const errors: FieldError[] = [];
  if ((pod.spec.nodeName ?? '') !== (old.spec.nodeName ?? '')) errors.push(forbiddenField('status.nodeName', 'may not be changed directly'));
  // A container that ended for good does not come back.
  const policy = old.spec.restartPolicy;
  if (policy !== 'Always')
    errors.push(...validateEnds('status.containerStatuses', pod.status.containerStatuses ?? [], old.status.containerStatuses ?? [], policy));
  return errors;
}

function validateEnds(
  field: string,
  statuses: readonly V1ContainerStatus[],
  old: readonly V1ContainerStatus[],
  policy: string | undefined,
): FieldError[] {
  return old.flatMap((before) => {
    const ended = before.state?.terminated;
    if (ended === undefined || (policy === 'OnFailure' && ended.exitCode !== 0)) return [];
    const index = statuses.findIndex(({ name }) => name === before.name);
    const now = statuses[index];
    if (now === undefined || now.state?.terminated !== undefined) return [];
    return [forbiddenField(`${at(field, index)}.state`, 'may not be transitioned to non-terminated state')];
  });
}
