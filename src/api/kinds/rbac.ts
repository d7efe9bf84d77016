/** Role, ClusterRole, RoleBinding, ClusterRoleBinding (rbac.authorization.k8s.io/v1): who may do what. */
import { at, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsSubdomainErrors, pathSegmentErrors } from '../../machinery/names.ts';
import { ageColumn, column, nameAndCreation, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { immutable, labelSelector, messages, oneOf } from '../field-checks.ts';
import type { Column, Kind } from '../kind.ts';
import type { RbacV1Subject, V1ClusterRole, V1ClusterRoleBinding, V1PolicyRule, V1Role, V1RoleBinding } from '../types.ts';

const group = 'rbac.authorization.k8s.io';

export type Role = V1Role;

export const Role: Kind<V1Role> = defineKind<V1Role>({
  group,
  kind: 'Role',
  resource: 'roles',
  model: 'V1Role',
  nameRule: 'path-segment',
  validate: ({ rules }) => validateRules(rules ?? [], true),
  columns: nameAndCreation,
});

export type ClusterRole = V1ClusterRole;

export const ClusterRole: Kind<V1ClusterRole> = defineKind<V1ClusterRole>({
  group,
  kind: 'ClusterRole',
  resource: 'clusterroles',
  model: 'V1ClusterRole',
  namespaced: false,
  nameRule: 'path-segment',
  validate: ({ rules, aggregationRule }) => [
    ...validateRules(rules ?? [], false),
    ...(aggregationRule !== undefined && (aggregationRule.clusterRoleSelectors ?? []).length === 0
      ? [required('aggregationRule.clusterRoleSelectors', 'at least one clusterRoleSelector required if aggregationRule is non-nil')]
      : []),
    ...(aggregationRule?.clusterRoleSelectors ?? []).flatMap((selector, index) =>
      labelSelector(at('aggregationRule.clusterRoleSelectors', index), selector),
    ),
  ],
  columns: nameAndCreation,
});

export type RoleBinding = V1RoleBinding;

export const RoleBinding: Kind<V1RoleBinding> = defineKind<V1RoleBinding>({
  group,
  kind: 'RoleBinding',
  resource: 'rolebindings',
  model: 'V1RoleBinding',
  nameRule: 'path-segment',
  defaults: defaultBinding,
  validate: (binding, old) => validateBinding(binding, old, ['Role', 'ClusterRole']),
  columns: bindingColumns<V1RoleBinding>(),
});

export type ClusterRoleBinding = V1ClusterRoleBinding;

export const ClusterRoleBinding: Kind<V1ClusterRoleBinding> = defineKind<V1ClusterRoleBinding>({
  group,
  kind: 'ClusterRoleBinding',
  resource: 'clusterrolebindings',
  model: 'V1ClusterRoleBinding',
  namespaced: false,
  nameRule: 'path-segment',
  defaults: defaultBinding,
  validate: (binding, old) => validateBinding(binding, old, ['ClusterRole']),
  columns: bindingColumns<V1ClusterRoleBinding>(),
});

type Binding = V1RoleBinding | V1ClusterRoleBinding;

function defaultBinding(binding: Binding): void {
  binding.roleRef ??= { apiGroup: '', kind: '', name: '' };
  binding.roleRef.apiGroup ||= group;
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= group;
  }
}

function bindingColumns<T extends Binding>(): Column<T>[] {
  const subjects = (binding: T, kind: string): RbacV1Subject[] => (binding.subjects ?? []).filter((subject) => subject.kind === kind);
  const wide = { wide: true };
  return [
    nameColumn,
    column<T>('Role', 'The role that is given.', ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
    ageColumn,
    column<T>(
      'Users',
      'Users who have it.',
      (binding) =>
        subjects(binding, 'User')
          .map(({ name }) => name)
          .join(', '),
      wide,
    ),
    column<T>(
      'Groups',
      'Groups who have it.',
      (binding) =>
        subjects(binding, 'Group')
          .map(({ name }) => name)
          .join(', '),
      wide,
    ),
    column<T>(
      'ServiceAccounts',
      'Service accounts that have it.',
      (binding) =>
        subjects(binding, 'ServiceAccount')
          .map(({ namespace, name }) => `${namespace ?? ''}/${name}`)
          .join(', '),
      wide,
    ),
  ];
}

function validateRules(rules: readonly V1PolicyRule[], namespaced: boolean): FieldError[] {
  return rules.flatMap((rule, index) => {
    const path = at('rules', index);
    const { verbs, apiGroups = [], resources = [], nonResourceURLs = [] } = rule;
    const errors: FieldError[] = [];
    if (verbs.length === 0) errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
    if (nonResourceURLs.length > 0) {
      if (namespaced) errors.push(invalidValue(`${path}.nonResourceURLs`, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'));
      if (apiGroups.length > 0 || resources.length > 0 || (rule.resourceNames ?? []).length > 0) {
        errors.push(invalidValue(`${path}.nonResourceURLs`, nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs'));
      }
      return errors;
    }
    if (apiGroups.length === 0) errors.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
    if (resources.length === 0) errors.push(required(`${path}.resources`, 'resource rules must supply at least one resource'));
    return errors;
  });
}

function validateBinding(binding: Binding, old: Binding | undefined, roleKinds: readonly string[]): FieldError[] {
  const { roleRef } = binding;
  const errors = [...oneOf('roleRef.apiGroup', roleRef.apiGroup, [group]), ...oneOf('roleRef.kind', roleRef.kind, roleKinds)];
  if (roleRef.name === '') errors.push(required('roleRef.name'));
  else errors.push(...messages('roleRef.name', roleRef.name, pathSegmentErrors(roleRef.name)));
  for (const [index, subject] of (binding.subjects ?? []).entries())
    errors.push(...validateSubject(at('subjects', index), subject, binding.kind === 'RoleBinding'));
  if (old === undefined) return errors;
  return [...errors, ...immutable('roleRef', roleRef, old.roleRef).map(() => invalidValue('roleRef', roleRef, 'cannot change roleRef'))];
}

function validateSubject(field: string, subject: RbacV1Subject, namespaced: boolean): FieldError[] {
  if (subject.name === '') return [required(`${field}.name`)];
  switch (subject.kind) {
    case 'ServiceAccount':
      return [
        ...messages(`${field}.name`, subject.name, dnsSubdomainErrors(subject.name)),
        ...oneOf(`${field}.apiGroup`, subject.apiGroup, ['']),
        ...(!namespaced && (subject.namespace ?? '') === '' ? [required(`${field}.namespace`)] : []),
      ];
    case 'User':
    case 'Group':
      return oneOf(`${field}.apiGroup`, subject.apiGroup, [group]);
    default:
      return oneOf(`${field}.kind`, subject.kind, ['ServiceAccount', 'User', 'Group']);
  }
}
