/**
 * Upstream's RBAC bootstrap policy as objects: roles and bindings present in every cluster from the start, and how they are kept: what is missing is
 * added back at each start, what was added by people stays, and `autoupdate: "false"` turns that off for an object.
 * See https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
 */
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../../api/kinds.ts';
import type { RbacV1Subject, V1PolicyRule } from '../../api/types.ts';
import type { Draft } from '../../machinery/object.ts';
import { equal } from '../../machinery/equal.ts';
import { rule } from '../authorization/policy-rule.ts';
import { componentRoles } from './component-roles.ts';
import { controllerRoles } from './controller-roles.ts';
import { explanationRole, userRoles } from './user-roles.ts';

const autoupdate = 'rbac.authorization.kubernetes.io/autoupdate';
const rbacGroup = 'rbac.authorization.k8s.io';

const writesEvents = rule('create patch update', ' events.k8s.io', 'events');

function bootstrapMetadata(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): { name: string; labels: Record<string, string>; annotations: Record<string, string> } {
  return { name, labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels }, annotations: { [autoupdate]: 'true' } };
}

function aggregateLabel(to: string): string {
  return `rbac.authorization.k8s.io/aggregate-to-${to}`;
}

/** `admin` is `edit` and more, `edit` is `view` and more. */
const aggregated: Readonly<Record<string, readonly string[]>> = {
  admin: ['system:aggregate-to-admin', 'system:aggregate-to-edit', 'system:aggregate-to-view', explanationRole],
  edit: ['system:aggregate-to-edit', 'system:aggregate-to-view', explanationRole],
  view: ['system:aggregate-to-view', explanationRole],
};

const partOf: Readonly<Record<string, string>> = {
  'system:aggregate-to-admin': 'admin',
  'system:aggregate-to-edit': 'edit',
  'system:aggregate-to-view': 'view',
  [explanationRole]: 'view',
  edit: 'admin',
  view: 'edit',
};

export function bootstrapClusterRoles(): Draft<ClusterRole>[] {
  const plain = Object.entries({ ...userRoles, ...componentRoles, ...prefixed(controllerRoles) });
  return [
    ...plain.map(([name, rules]) => ({ metadata: roleMetadata(name), rules: [...rules] })),
    ...Object.entries(aggregated).map(([name, parts]) => ({
      metadata: roleMetadata(name),
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateLabel(name)]: 'true' } }] },
      rules: parts.flatMap((part) => userRoles[part] ?? []),
    })),
  ];
}

function roleMetadata(name: string): ReturnType<typeof bootstrapMetadata> {
  const part = partOf[name];
  return bootstrapMetadata(name, part === undefined ? {} : { [aggregateLabel(part)]: 'true' });
}

function prefixed(roles: typeof controllerRoles): Record<string, readonly V1PolicyRule[]> {
  return Object.fromEntries(Object.entries(roles).map(([name, rules]) => [`system:controller:${name}`, rules]));
}

function group(name: string): RbacV1Subject {
  return { kind: 'Group', apiGroup: rbacGroup, name };
}

function user(name: string): RbacV1Subject {
  return { kind: 'User', apiGroup: rbacGroup, name };
}

function account(name: string): RbacV1Subject {
  return { kind: 'ServiceAccount', name, namespace: 'kube-system' };
}

/** Who has which cluster role; a binding is named as its role. */
const clusterSubjects: Readonly<Record<string, readonly RbacV1Subject[]>> = {
  'cluster-admin': [group('system:masters')],
  'system:basic-user': [group('system:authenticated')],
  'system:discovery': [group('system:authenticated')],
  'system:public-info-viewer': [group('system:authenticated'), group('system:unauthenticated')],
  'system:monitoring': [group('system:monitoring')],
  'system:service-account-issuer-discovery': [group('system:serviceaccounts')],
  'system:kube-controller-manager': [user('system:kube-controller-manager')],
  'system:kube-scheduler': [user('system:kube-scheduler')],
  'system:volume-scheduler': [user('system:kube-scheduler')],
  'system:node-proxier': [user('system:kube-proxy')],
  'system:kube-dns': [account('kube-dns')],
  // Nodes are authorized by name, not by role.
  'system:node': [],
};

export function bootstrapClusterRoleBindings(): Draft<ClusterRoleBinding>[] {
  const controllers = Object.keys(controllerRoles).map((name) => [`system:controller:${name}`, [account(name)]] as const);
  return [...Object.entries(clusterSubjects), ...controllers].map(([name, subjects]) => ({
    metadata: bootstrapMetadata(name),
    roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name },
    ...(subjects.length > 0 && { subjects: [...subjects] }),
  }));
}

interface NamespacedGrant {
  readonly namespace: string;
  readonly role: string;
  /** The binding's name where it is not the role's. */
  readonly binding?: string;
  readonly rules: readonly V1PolicyRule[];
  readonly subjects: readonly RbacV1Subject[];
}

function leaderLocking(component: string): NamespacedGrant {
  return {
    namespace: 'kube-system',
    role: `system::leader-locking-${component}`,
    rules: [rule('watch', '', 'configmaps'), rule('get update', '', 'configmaps', component)],
    subjects: [user(`system:${component}`), account(component)],
  };
}

const namespacedGrants: readonly NamespacedGrant[] = [
  {
    namespace: 'kube-system',
    role: 'extension-apiserver-authentication-reader',
    binding: 'system::extension-apiserver-authentication-reader',
    rules: [rule('get list watch', '', 'configmaps', 'extension-apiserver-authentication')],
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  },
  leaderLocking('kube-controller-manager'),
  leaderLocking('kube-scheduler'),
  {
    namespace: 'kube-public',
    role: 'system:controller:bootstrap-signer',
    rules: [rule('get list watch', '', 'configmaps'), rule('update', '', 'configmaps', 'cluster-info'), writesEvents],
    subjects: [account('bootstrap-signer')],
  },
  {
    namespace: 'kube-system',
    role: 'system:controller:bootstrap-signer',
    rules: [rule('get list watch', '', 'secrets')],
    subjects: [account('bootstrap-signer')],
  },
  {
    namespace: 'kube-system',
    role: 'system:controller:cloud-provider',
    rules: [rule('create get list watch', '', 'configmaps')],
    subjects: [account('cloud-provider')],
  },
  {
    namespace: 'kube-system',
    role: 'system:controller:token-cleaner',
    rules: [rule('delete get list watch', '', 'secrets'), writesEvents],
    subjects: [account('token-cleaner')],
  },
];

export function bootstrapRoles(): (Draft<Role> & { metadata: { namespace: string } })[] {
  return namespacedGrants.map(({ namespace, role, rules }) => ({ metadata: { ...bootstrapMetadata(role), namespace }, rules: [...rules] }));
}

export function bootstrapRoleBindings(): (Draft<RoleBinding> & { metadata: { namespace: string } })[] {
  return namespacedGrants.map(({ namespace, role, binding, subjects }) => ({
    metadata: { ...bootstrapMetadata(binding ?? role), namespace },
    roleRef: { apiGroup: rbacGroup, kind: 'Role', name: role },
    subjects: [...subjects],
  }));
}

type PolicyPart = {
  readonly rules?: readonly V1PolicyRule[];
  readonly subjects?: readonly RbacV1Subject[];
  readonly aggregationRule?: object;
  readonly metadata: { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> };
};

/** The present object with what the wanted one has and it lacks; undefined when nothing is missing or the object is not to be kept up. */
export function reconciled<T extends PolicyPart>(present: T, wanted: PolicyPart): T | undefined {
  if (present.metadata.annotations?.[autoupdate] !== 'true') return undefined;
  // The rules of an aggregated role are the aggregation's.
  const rules = wanted.aggregationRule === undefined ? union(present.rules, wanted.rules) : present.rules;
  const subjects = union(present.subjects, wanted.subjects);
  const labels = { ...present.metadata.labels, ...wanted.metadata.labels };
  if (rules === present.rules && subjects === present.subjects && equal(labels, present.metadata.labels ?? {})) return undefined;
  return { ...present, metadata: { ...present.metadata, labels }, ...(rules && { rules }), ...(subjects && { subjects }) };
}

/** `present` itself when it has all of them. */
function union<V>(present: readonly V[] | undefined, wanted: readonly V[] | undefined): readonly V[] | undefined {
  const missing = (wanted ?? []).filter((value) => !(present ?? []).some((other) => equal(value, other)));
  return missing.length === 0 ? present : [...(present ?? []), ...missing];
}
