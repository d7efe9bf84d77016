/** Admission policies and their bindings (admissionregistration.k8s.io/v1): rules in CEL that writes must pass, or that change them. */
import { ageColumn, column, nameColumn, selectorText } from '../columns.ts';
import { required, type FieldError } from '../../machinery/field-error.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type {
  V1MatchResources,
  V1ParamRef,
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
  validate: ({ spec }) => [
    ...validateMatch('spec.matchConstraints', spec.matchConstraints),
    ...((spec.mutations ?? []).length === 0 ? [required('spec.mutations', 'mutations must contain at least one item')] : []),
  ],
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
  validate: ({ spec }) => ((spec.policyName ?? '') === '' ? [required('spec.policyName')] : []),
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
  validate: ({ spec }) => [
    ...validateMatch('spec.matchConstraints', spec.matchConstraints),
    ...((spec.validations ?? []).length === 0 && (spec.auditAnnotations ?? []).length === 0
      ? [required('spec.validations', 'validations or auditAnnotations must contain at least one item')]
      : []),
  ],
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
  validate: ({ spec }) => ((spec.policyName ?? '') === '' ? [required('spec.policyName')] : []),
  columns: [
    nameColumn,
    column('PolicyName', 'The policy it puts to use.', ({ spec }) => spec.policyName ?? ''),
    column('ParamRef', 'Its parameters.', ({ spec }) => paramText(spec.paramRef)),
    ageColumn,
  ],
});

function defaultMatch(match: V1MatchResources): void {
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= '*';
}

function validateMatch(field: string, match: V1MatchResources | undefined): FieldError[] {
  if (match === undefined) return [required(field)];
  return (match.resourceRules ?? []).length === 0 ? [required(`${field}.resourceRules`)] : [];
}

function paramText(ref: V1ParamRef | undefined): string {
  if (ref === undefined) return '<unset>';
  if (ref.name === undefined) return selectorText(ref.selector);
  return ref.namespace === undefined ? `*/${ref.name}` : `${ref.namespace}/${ref.name}`;
}
