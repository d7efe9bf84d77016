/** Rules for the questions of authorization.k8s.io: who may do what. Follows `pkg/apis/authorization/validation`. */
import { at, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { messages } from '../field-checks.ts';
import type {
  V1LocalSubjectAccessReview,
  V1ResourceAttributes,
  V1SelfSubjectAccessReview,
  V1SelfSubjectAccessReviewSpec,
  V1SubjectAccessReview,
  V1SubjectAccessReviewSpec,
} from '../types.ts';

export function validateSelfReview({ metadata, spec }: V1SelfSubjectAccessReview): FieldError[] {
  return [...validateAction('spec', spec ?? {}), ...validateNoMetadata(metadata, [], 'must be empty')];
}

export function validateReview({ metadata, spec }: V1SubjectAccessReview): FieldError[] {
  return [...validateAction('spec', spec ?? {}), ...validateWho('spec', spec ?? {}), ...validateNoMetadata(metadata, [], 'must be empty')];
}

/** A review inside a namespace is about that namespace. */
export function validateLocalReview({ metadata, spec }: V1LocalSubjectAccessReview): FieldError[] {
  const errors = [
    ...validateAction('spec', spec ?? {}),
    ...validateWho('spec', spec ?? {}),
    ...validateNoMetadata(metadata, ['namespace'], 'must be empty except for namespace'),
  ];
  const { resourceAttributes: resource, nonResourceAttributes } = spec ?? {};
  if (resource !== undefined && resource.namespace !== metadata.namespace)
    errors.push(invalidValue('spec.resourceAttributes.namespace', resource.namespace ?? '', 'must match metadata.namespace'));
  if (nonResourceAttributes !== undefined)
    errors.push(invalidValue('spec.nonResourceAttributes', nonResourceAttributes, 'disallowed on this kind of request'));
  return errors;
}

/** A question is not stored: it has no name. */
function validateNoMetadata(metadata: object, allowed: readonly string[], why: string): FieldError[] {
  const said = Object.entries(metadata).filter(([name, value]) => value !== undefined && name !== 'managedFields' && !allowed.includes(name));
  return said.length > 0 ? [invalidValue('metadata', metadata, why)] : [];
}

function validateWho(field: string, { user = '', groups = [] }: V1SubjectAccessReviewSpec): FieldError[] {
  return user === '' && groups.length === 0 ? [invalidValue(`${field}.user`, user, 'at least one of user or group must be specified')] : [];
}

function validateAction(field: string, { resourceAttributes, nonResourceAttributes }: V1SelfSubjectAccessReviewSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined) {
    const why = 'cannot be specified in combination with resourceAttributes';
    errors.push(invalidValue(`${field}.nonResourceAttributes`, nonResourceAttributes, why));
  }
  if (resourceAttributes === undefined && nonResourceAttributes === undefined) {
    const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    errors.push(invalidValue(`${field}.resourceAttributes`, null, why));
  }
  if (resourceAttributes === undefined) return errors;
  return [...errors, ...validateSelectors(`${field}.resourceAttributes`, resourceAttributes)];
}

interface SelectorAttributes {
  readonly rawSelector?: string;
  readonly requirements?: readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] }[];
}

function validateSelectors(field: string, { fieldSelector, labelSelector }: V1ResourceAttributes): FieldError[] {
  const fieldKey = (path: string, key: string): FieldError[] => (key === '' ? [required(path, 'must be specified')] : []);
  const labelKey = (path: string, key: string): FieldError[] => messages(path, key, qualifiedNameErrors(key));
  return [
    ...validateSelector(`${field}.fieldSelector`, fieldSelector, fieldKey),
    ...validateSelector(`${field}.labelSelector`, labelSelector, labelKey),
  ];
}

function validateSelector(
  field: string,
  selector: SelectorAttributes | undefined,
  checkKey: (field: string, key: string) => FieldError[],
): FieldError[] {
  if (selector === undefined) return [];
  const { rawSelector = '', requirements = [] } = selector;
  const errors: FieldError[] = [];
  if (rawSelector !== '' && requirements.length > 0)
    errors.push(invalidValue(`${field}.rawSelector`, rawSelector, 'may not specified at the same time as requirements'));
  if (rawSelector === '' && requirements.length === 0)
    errors.push(required(`${field}.requirements`, `when ${field} is specified, requirements or rawSelector is required`));
  for (const [index, { key, operator, values = [] }] of requirements.entries()) {
    const path = at(`${field}.requirements`, index);
    errors.push(...checkKey(`${path}.key`, key));
    if (operator === 'In' || operator === 'NotIn') {
      if (values.length === 0) errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values.length > 0) errors.push(forbiddenField(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else {
      errors.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'));
    }
  }
  return errors;
}
