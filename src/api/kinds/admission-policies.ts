/** Admission policies and their bindings (admissionregistration.k8s.io/v1): rules in CEL that writes must pass, or that change them. */
import { ageColumn, column, nameColumn, selectorText } from '../columns.ts';
import { wantAnnotation, wantBool, wantObject, wantPatches, wantString } from '../admission-expressions.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { messages, requiredOneOf } from '../field-checks.ts';
import { at, duplicate, type FieldError, invalidValue, notSupported, required, tooMany } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import type { Kind } from '../kind.ts';
import { bindingErrors, declaredVariables, defaultMatch, environmentOf, expressionErrors, policyErrors } from './admission-policy-checks.ts';
import type {
  V1AuditAnnotation,
  V1Mutation,
  V1MutatingAdmissionPolicySpec,
  V1ParamRef,
  V1Validation,
  V1ValidatingAdmissionPolicySpec,
  V1MutatingAdmissionPolicy,
  V1MutatingAdmissionPolicyBinding,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
} from '../types.ts';

export type MutatingAdmissionPolicy = V1MutatingAdmissionPolicy;

export const MutatingAdmissionPolicy: Kind<V1MutatingAdmissionPolicy> = defineKind<V1MutatingAdmissionPolicy>({
  group: 'admissionregistration.k8s.io',
  kind: 'MutatingAdmissionPolicy',
  resource: 'mutatingadmissionpolicies',
  model: 'V1MutatingAdmissionPolicy',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults({ spec }) {
    spec.failurePolicy ??= 'Fail';
    if (spec.matchConstraints !== undefined) defaultMatch(spec.matchConstraints);
  },
  validate: ({ spec }) => [...policyErrors(spec, true), ...mutationsErrors(spec)],
  columns: [
    nameColumn,
    column('Mutations', 'How many there are.', ({ spec }) => (spec.mutations ?? []).length, { type: 'integer' }),
    column('ParamKind', 'What its parameters are.', ({ spec: { paramKind } }) =>
      paramKind === undefined ? '<unset>' : `${paramKind.apiVersion ?? ''}/${paramKind.kind ?? ''}`,
    ),
    ageColumn,
  ],
});

export type MutatingAdmissionPolicyBinding = V1MutatingAdmissionPolicyBinding;

export const MutatingAdmissionPolicyBinding: Kind<V1MutatingAdmissionPolicyBinding> = defineKind<V1MutatingAdmissionPolicyBinding>({
  group: 'admissionregistration.k8s.io',
  kind: 'MutatingAdmissionPolicyBinding',
  resource: 'mutatingadmissionpolicybindings',
  model: 'V1MutatingAdmissionPolicyBinding',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults({ spec }) {
    if (spec.matchResources !== undefined) defaultMatch(spec.matchResources);
  },
  validate: ({ spec }) => bindingErrors(spec),
  columns: [
    nameColumn,
    column('PolicyName', 'The policy it puts to use.', ({ spec }) => spec.policyName ?? ''),
    column('ParamRef', 'Its parameters.', ({ spec }) => paramText(spec.paramRef)),
    ageColumn,
  ],
});

export type ValidatingAdmissionPolicy = V1ValidatingAdmissionPolicy;

export const ValidatingAdmissionPolicy: Kind<V1ValidatingAdmissionPolicy> = defineKind<V1ValidatingAdmissionPolicy>({
  group: 'admissionregistration.k8s.io',
  kind: 'ValidatingAdmissionPolicy',
  resource: 'validatingadmissionpolicies',
  model: 'V1ValidatingAdmissionPolicy',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  subresources: { status: statusSubresource },
  defaults({ spec }) {
    spec.failurePolicy ??= 'Fail';
    if (spec.matchConstraints !== undefined) defaultMatch(spec.matchConstraints);
  },
  validate: ({ spec }) => [...policyErrors(spec, false), ...validationsErrors(spec), ...auditAnnotationsErrors(spec)],
  columns: [
    nameColumn,
    column('Validations', 'How many there are.', ({ spec }) => (spec.validations ?? []).length, { type: 'integer' }),
    column('ParamKind', 'What its parameters are.', ({ spec: { paramKind } }) =>
      paramKind === undefined ? '<unset>' : `${paramKind.apiVersion ?? ''}/${paramKind.kind ?? ''}`,
    ),
    ageColumn,
  ],
});

export type ValidatingAdmissionPolicyBinding = V1ValidatingAdmissionPolicyBinding;

export const ValidatingAdmissionPolicyBinding: Kind<V1ValidatingAdmissionPolicyBinding> = defineKind<V1ValidatingAdmissionPolicyBinding>({
  group: 'admissionregistration.k8s.io',
  kind: 'ValidatingAdmissionPolicyBinding',
  resource: 'validatingadmissionpolicybindings',
  model: 'V1ValidatingAdmissionPolicyBinding',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults({ spec }) {
    if (spec.matchResources !== undefined) defaultMatch(spec.matchResources);
  },
  validate: ({ spec }) => [...bindingErrors(spec), ...actionErrors(spec.validationActions ?? [])],
  columns: [
    nameColumn,
    column('PolicyName', 'The policy it puts to use.', ({ spec }) => spec.policyName ?? ''),
    column('ParamRef', 'Its parameters.', ({ spec }) => paramText(spec.paramRef)),
    ageColumn,
  ],
});

const validationReasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized'];

function validationsErrors(spec: V1ValidatingAdmissionPolicySpec): FieldError[] {
  const { validations = [], auditAnnotations = [] } = spec;
  if (validations.length === 0 && auditAnnotations.length === 0) {
    const why = 'validations or auditAnnotations must contain at least one item';
    return [required('spec.validations', why), required('spec.auditAnnotations', why)];
  }
  const variables = declaredVariables(spec, false);
  return validations.flatMap((validation, index) => {
    const path = at('spec.validations', index);
    const { expression, messageExpression, reason } = validation;
    const errors = expressionErrors(`${path}.expression`, expression, environmentOf(spec, variables, false), wantBool);
    errors.push(...wordingErrors(path, validation));
    if (messageExpression !== undefined && messageExpression !== '') {
      const environment = environmentOf(spec, variables, false, false);
      errors.push(...expressionErrors(`${path}.messageExpression`, messageExpression, environment, wantString));
    }
    if (reason !== undefined && !validationReasons.includes(reason)) errors.push(notSupported(`${path}.reason`, reason, validationReasons));
    return errors;
  });
}

function wordingErrors(path: string, { expression, message = '' }: V1Validation): FieldError[] {
  if (message !== '' && message.trim() === '') return [invalidValue(`${path}.message`, message, 'message must be non-empty if specified')];
  if (message.trim().includes('\n')) return [invalidValue(`${path}.message`, message, 'message must not contain line breaks')];
  const isNeeded = message === '' && (expression ?? '').trim().includes('\n');
  return isNeeded ? [required(`${path}.message`, 'message must be specified if expression contains line breaks')] : [];
}

const maxAuditAnnotations = 20;

function auditAnnotationsErrors(spec: V1ValidatingAdmissionPolicySpec): FieldError[] {
  const annotations: readonly V1AuditAnnotation[] = spec.auditAnnotations ?? [];
  if (annotations.length > maxAuditAnnotations) return [tooMany('spec.auditAnnotations', annotations.length, maxAuditAnnotations)];
  const environment = environmentOf(spec, declaredVariables(spec, false), false);
  const keys = new Set<string>();
  return annotations.flatMap(({ key, valueExpression }, index) => {
    const path = at('spec.auditAnnotations', index);
    const errors = (key ?? '') === '' ? [required(`${path}.key`)] : messages(`${path}.key`, key, qualifiedNameErrors(key));
    if (keys.has(key)) errors.push(duplicate(`${path}.key`, key));
    keys.add(key);
    return [...errors, ...expressionErrors(`${path}.valueExpression`, valueExpression, environment, wantAnnotation)];
  });
}

function mutationsErrors(spec: V1MutatingAdmissionPolicySpec): FieldError[] {
  const { mutations = [] } = spec;
  const errors = requiredOneOf('spec.reinvocationPolicy', spec.reinvocationPolicy, ['IfNeeded', 'Never']);
  if (mutations.length === 0) return [...errors, required('spec.mutations', 'mutations must contain at least one item')];
  const environment = environmentOf(spec, declaredVariables(spec, true), true);
  for (const [index, mutation] of mutations.entries()) {
    const path = at('spec.mutations', index);
    errors.push(...requiredOneOf(`${path}.patchType`, mutation.patchType, ['ApplyConfiguration', 'JSONPatch']));
    errors.push(...patchErrors(path, mutation, 'ApplyConfiguration', 'applyConfiguration'));
    errors.push(...patchErrors(path, mutation, 'JSONPatch', 'jsonPatch'));
    const { applyConfiguration, jsonPatch, patchType } = mutation;
    if (patchType === 'ApplyConfiguration' && applyConfiguration) {
      errors.push(...expressionErrors(`${path}.applyConfiguration.expression`, applyConfiguration.expression, environment, wantObject));
    }
    if (patchType === 'JSONPatch' && jsonPatch) {
      errors.push(...expressionErrors(`${path}.jsonPatch.expression`, jsonPatch.expression, environment, wantPatches));
    }
  }
  return errors;
}

/** What belongs to the patch's type is there, and nothing else. */
function patchErrors(path: string, mutation: V1Mutation, type: string, field: 'applyConfiguration' | 'jsonPatch'): FieldError[] {
  const isMeant = mutation.patchType === type;
  const isThere = mutation[field] !== undefined;
  if (isMeant === isThere) return [];
  if (isMeant) return [required(`${path}.${field}`, `must be specified when patchType is ${type}`)];
  return [invalidValue(`${path}.${field}`, mutation[field], `must not be specified when patchType is ${mutation.patchType}`)];
}

const actions = ['Audit', 'Deny', 'Warn'];

function actionErrors(given: readonly string[]): FieldError[] {
  const field = 'spec.validationActions';
  if (given.length === 0) return [required(field, 'at least one validation action is required')];
  const errors: FieldError[] = [];
  for (const [index, action] of given.entries()) {
    if (!actions.includes(action)) errors.push(notSupported(at(field, index), action, actions));
    if (given.indexOf(action) < index) errors.push(duplicate(at(field, index), action));
  }
  if (given.includes('Deny') && given.includes('Warn')) {
    const why =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)';
    errors.push(invalidValue(field, given, why));
  }
  return errors;
}

function paramText(ref: V1ParamRef | undefined): string {
  if (ref === undefined) return '<unset>';
  if (ref.name === undefined) return selectorText(ref.selector);
  return ref.namespace === undefined ? `*/${ref.name}` : `${ref.namespace}/${ref.name}`;
}
