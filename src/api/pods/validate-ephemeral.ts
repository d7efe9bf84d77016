/** Rules for ephemeral containers, which are added to a running pod to look into it. Follows `validateEphemeralContainers` and its update. */
import { equal } from '../../machinery/equal.ts';
import { at, duplicate, fieldNotFound, forbiddenField, type FieldError } from '../../machinery/field-error.ts';
import { noneSet } from '../field-checks.ts';
import type { V1EphemeralContainer, V1Pod, V1PodSpec } from '../types.ts';
import { validateContainer } from './validate-container.ts';

const field = 'spec.ephemeralContainers';

/** They take nothing from the pod and nobody waits for them. */
const notForThem = ['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle', 'resizePolicy', 'restartPolicy'] as const;

export function validateEphemeralContainers({ spec }: V1Pod): FieldError[] {
  return (spec.ephemeralContainers ?? []).flatMap((container, index) => validateOne(at(field, index), container, spec, index));
}

/** Those that are there stay as they are. */
export function validateEphemeralUpdate(pod: V1Pod, old: V1Pod): FieldError[] {
  const errors = validateEphemeralContainers(pod);
  for (const before of old.spec.ephemeralContainers ?? []) {
    const kept = pod.spec.ephemeralContainers?.find(({ name }) => name === before.name);
    const name = JSON.stringify(before.name);
    if (kept === undefined) errors.push(forbiddenField(field, `existing ephemeral containers ${name} may not be removed`));
    else if (!equal(kept, before)) errors.push(forbiddenField(field, `existing ephemeral containers ${name} may not be changed`));
  }
  return errors;
}

function validateOne(path: string, container: V1EphemeralContainer, spec: V1PodSpec, index: number): FieldError[] {
  const { name, targetContainerName = '', resources = {}, volumeMounts = [] } = container;
  const why = 'cannot be set for an Ephemeral Container';
  const others = [...spec.containers, ...(spec.initContainers ?? [])];
  const errors = [...validateContainer(path, spec, container), ...noneSet(path, container, notForThem, why)];
  const taken = others.some((other) => other.name === name) || (spec.ephemeralContainers ?? []).slice(0, index).some((other) => other.name === name);
  if (taken) errors.push(duplicate(`${path}.name`, name));
  if (Object.keys(resources).length > 0) errors.push(forbiddenField(`${path}.resources`, why));
  if (targetContainerName !== '' && !others.some((other) => other.name === targetContainerName))
    errors.push(fieldNotFound(`${path}.targetContainerName`, targetContainerName));
  for (const [which, { subPath = '', subPathExpr = '' }] of volumeMounts.entries()) {
    const mount = at(`${path}.volumeMounts`, which);
    if (subPath !== '') errors.push(forbiddenField(`${mount}.subPath`, why));
    if (subPathExpr !== '') errors.push(forbiddenField(`${mount}.subPathExpr`, why));
  }
  return errors;
}
