/** Rules for pod templates: a pod spec with labels, and what the workload that owns it adds. Follows `ValidatePodTemplateSpec` and its callers. */
import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { selectorOf } from '../../machinery/selector.ts';
import { labels } from '../field-checks.ts';
import { annotations } from '../object-meta.ts';
import type { V1LabelSelector, V1PodTemplateSpec } from '../types.ts';
import { validatePodSpec } from './validate-spec.ts';

export function validatePodTemplate(field: string, template: V1PodTemplateSpec): FieldError[] {
  const errors = [...labels(`${field}.labels`, template.metadata?.labels), ...annotations(`${field}.annotations`, template.metadata?.annotations)];
  if (template.spec === undefined) return [...errors, required(`${field}.spec`)];
  errors.push(...validatePodSpec(`${field}.spec`, template.spec));
  if ((template.spec.ephemeralContainers ?? []).length > 0) {
    errors.push(forbiddenField(`${field}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  }
  return errors;
}

/** A template whose pods are to run forever and be found by the selector: of everything that replaces pods. `owner` is named in a message. */
export function validateServingTemplate(
  field: string,
  template: V1PodTemplateSpec,
  selector: V1LabelSelector | undefined,
  owner: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const found = template.metadata?.labels ?? {};
  if (selector !== undefined && !matches(selector, found)) {
    errors.push(invalidValue(`${field}.metadata.labels`, found, '`selector` does not match template `labels`'));
  }
  errors.push(...validatePodTemplate(field, template));
  const restartPolicy = template.spec?.restartPolicy;
  if (restartPolicy !== undefined && restartPolicy !== 'Always') errors.push(notSupported(`${field}.spec.restartPolicy`, restartPolicy, ['Always']));
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    errors.push(forbiddenField(`${field}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${owner} is not Supported`));
  }
  return errors;
}

/** True too for a selector that is itself wrong: that is reported where it stands. */
function matches(selector: V1LabelSelector, found: Readonly<Record<string, string>>): boolean {
  try {
    const parsed = selectorOf(selector);
    return parsed.isEmpty() || parsed.matches(found);
  } catch {
    return true;
  }
}
