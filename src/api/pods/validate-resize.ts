/** Rules for changing what a running pod and its containers may use, through `pods/resize`. Follows `ValidatePodResize`. */
import { own } from '../../machinery/own.ts';
import { at, forbiddenField, invalidValue, type FieldError } from '../../machinery/field-error.ts';
import type { V1Container, V1Pod, V1ResourceRequirements } from '../types.ts';
import { qosClassOf } from './qos.ts';
import { validatePodSpec } from './validate-spec.ts';

const resizable: ReadonlySet<string> = new Set(['cpu', 'memory']);

/** The pod differs from the old one in its resources and those of its containers only. */
export function validatePodResize(pod: V1Pod, old: V1Pod): FieldError[] {
  const { spec } = pod;
  if (spec.os?.name === 'windows') return [forbiddenField('spec', 'windows pods cannot be resized')];
  if (old.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined) return [forbiddenField('spec', 'static pods cannot be resized')];
  const errors = validatePodSpec('spec', { ...spec, ephemeralContainers: [] });
  if (qosClassOf(spec) !== qosClassOf(old.spec))
    errors.push(invalidValue('spec', qosClassOf(spec), 'Pod QOS Class may not change as a result of resizing'));
  errors.push(...validateChange('spec', spec.resources, old.spec.resources));
  for (const list of ['containers', 'initContainers'] as const)
    for (const [index, container] of (spec[list] ?? []).entries())
      errors.push(...validateContainer(at(`spec.${list}`, index), container, old.spec[list]?.[index], list === 'initContainers'));
  return errors;
}

function validateContainer(field: string, container: V1Container, old: V1Container | undefined, isInit: boolean): FieldError[] {
  if (isInit && container.restartPolicy !== 'Always' && changedNames(container.resources ?? {}, old?.resources ?? {}).size > 0)
    return [forbiddenField('spec', 'only resources of containers and sidecar containers are mutable')];
  return validateChange(field, container.resources, old?.resources);
}

function validateChange(field: string, now: V1ResourceRequirements = {}, before: V1ResourceRequirements = {}): FieldError[] {
  const changed = changedNames(now, before);
  if (changed.size === 0) return [];
  if (![...changed].every((name) => resizable.has(name))) return [forbiddenField('spec', 'only cpu and memory resources are mutable')];
  const errors: FieldError[] = [];
  for (const part of ['limits', 'requests'] as const) {
    const removed = Object.keys(before[part] ?? {}).some((name) => own(now[part], name) === undefined);
    if (removed) errors.push(forbiddenField(`${field}.resources.${part}`, `resource ${part} cannot be removed`));
  }
  return errors;
}

function changedNames(now: V1ResourceRequirements, before: V1ResourceRequirements): Set<string> {
  const changed = new Set<string>();
  for (const part of ['limits', 'requests'] as const) {
    for (const name of Object.keys({ ...now[part], ...before[part] })) if (own(now[part], name) !== own(before[part], name)) changed.add(name);
  }
  return changed;
}
