/**
 * Nobody hands out rights they do not have: who writes a role must hold everything in it (or may `escalate`), who binds one must hold everything in the
 * role (or may `bind` it). Upstream does this where roles are stored.
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
 */
import { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../../api/kinds.ts';
import type { V1PolicyRule } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { forbidden, notFound } from '../../machinery/errors.ts';
import type { PathRule, ResourceRule } from '../authorization/authorizer.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, type AdmissionRequest, concernsOnly } from './admission.ts';
import { type AuthorizerSource, may } from './permission.ts';
import { compactRules, describeRule, missingRules } from './rule-cover.ts';

const group = 'rbac.authorization.k8s.io';
const everything: readonly V1PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

export function rbacEscalation(registry: Registry, authorizer: AuthorizerSource): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    concerns: concernsOnly(Role, ClusterRole, RoleBinding, ClusterRoleBinding),
    validate(request) {
      const { object, oldObject, user } = request;
      if (!object || request.subresource !== '' || user.groups.includes('system:masters') || authorizer() === undefined) return undefined;
      if (oldObject && onlyForGarbageCollector(object, oldObject)) return undefined;
      const isRole = request.kind.resource === 'roles' || request.kind.resource === 'clusterroles';
      if (isRole) return checkRole(authorizer, request, object, oldObject);
      return checkBinding(registry, authorizer, request, object as AnyObject & RoleBinding);
    },
  };
}

/** Owners and finalizers grant nothing. */
function onlyForGarbageCollector(object: AnyObject, old: AnyObject): boolean {
  const { ownerReferences: _owners, finalizers: _finalizers, managedFields: _managed, ...metadata } = object.metadata;
  const { ownerReferences: _oldOwners, finalizers: _oldFinalizers, managedFields: _oldManaged, ...oldMetadata } = old.metadata;
  return equal({ ...object, metadata }, { ...old, metadata: oldMetadata });
}

async function checkRole(authorizer: AuthorizerSource, request: AdmissionRequest, role: ClusterRole, old: ClusterRole | undefined): Promise<void> {
  const { kind, user, namespace = '', name } = request;
  if (await may(authorizer, user, { verb: 'escalate', group, resource: kind.resource, namespace, name })) return;
  const aggregationChanged = !equal(role.aggregationRule, old?.aggregationRule);
  if (old && !aggregationChanged && equal(role.rules, old.rules)) return;
  // Who aggregates gets whatever others write later.
  if (aggregationChanged) requireHeld(authorizer, request, everything);
  requireHeld(authorizer, request, role.rules ?? []);
}

async function checkBinding(registry: Registry, authorizer: AuthorizerSource, request: AdmissionRequest, { roleRef }: RoleBinding): Promise<void> {
  const { user, namespace } = request;
  const resource = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles';
  if (await may(authorizer, user, { verb: 'bind', group: roleRef.apiGroup ?? group, resource, namespace: namespace ?? '', name: roleRef.name }))
    return;
  const role = roleRef.kind === 'Role' ? registry.get(Role, namespace, roleRef.name) : registry.get(ClusterRole, undefined, roleRef.name);
  if (!role) throw notFound({ group, resource }, roleRef.name);
  requireHeld(authorizer, request, role.rules ?? []);
}

function requireHeld(authorizer: AuthorizerSource, request: AdmissionRequest, rules: readonly V1PolicyRule[]): void {
  const { user, namespace = '' } = request;
  const held = authorizer()?.rulesFor(user, namespace) ?? { resourceRules: [], pathRules: [] };
  const missing = missingRules([...held.resourceRules, ...held.pathRules].map(asPolicyRule), rules);
  if (missing.length === 0) return;
  const lines = [...new Set(compactRules(missing).map(describeRule))].toSorted();
  const groups = user.groups.map((name) => JSON.stringify(name)).join(' ');
  const why = `user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${lines.join('\n')}`;
  throw forbidden(request.resource, request.name, why);
}

function asPolicyRule(rule: ResourceRule | PathRule): V1PolicyRule {
  return 'nonResourceURLs' in rule
    ? { verbs: [...rule.verbs], nonResourceURLs: [...rule.nonResourceURLs] }
    : { verbs: [...rule.verbs], apiGroups: [...rule.apiGroups], resources: [...rule.resources], resourceNames: [...rule.resourceNames] };
}
