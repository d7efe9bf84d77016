/**
 * Role based access control: who is bound to which rules, where. What was derived from bindings is kept until a binding or role changes.
 * See https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
import { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../../api/kinds.ts';
import type { V1PolicyRule } from '../../api/types.ts';
import { selectorOf } from '../../machinery/selector.ts';
import type { User } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import { type Attributes, type Authorizer, type Decision, noOpinion, type PathRule, type ResourceRule } from './authorizer.ts';
import { ruleAllows } from './rules.ts';

/** A binding that names a subject. */
interface Grant {
  readonly binding: ClusterRoleBinding | RoleBinding;
  /** What requests allowed through it are answered with. */
  readonly decision: Decision;
  /** Empty for everywhere. */
  readonly namespace: string;
}

/** A rule a user has, and through what. */
interface HeldRule {
  readonly rule: V1PolicyRule;
  readonly grant: Grant;
}

interface UserRules {
  readonly everywhere: readonly HeldRule[];
  readonly byNamespace: Map<string, readonly HeldRule[]>;
}

export function rbacAuthorizer(objects: ObjectReader): Authorizer {
  return new RbacAuthorizer(objects);
}

class RbacAuthorizer implements Authorizer {
  private readonly objects: ObjectReader;
  private grants = new Map<string, Grant[]>();
  private rulesOfUsers = new WeakMap<User, UserRules>();
  private bindingsSeen = '';
  private rolesSeen = '';

  constructor(objects: ObjectReader) {
    this.objects = objects;
  }

  authorize(attributes: Attributes): Decision {
    const rules = this.rulesOf(attributes.user);
    const held =
      firstMatch(rules.everywhere, attributes) ??
      (attributes.namespace === '' ? undefined : firstMatch(this.namespaceRules(attributes.user, rules, attributes.namespace), attributes));
    return held === undefined ? noOpinion : held.grant.decision;
  }

  rulesFor(user: User, namespace: string): { resourceRules: ResourceRule[]; pathRules: PathRule[]; incomplete: boolean } {
    const rules = this.rulesOf(user);
    const resourceRules: ResourceRule[] = [];
    const pathRules: PathRule[] = [];
    for (const { rule } of [...rules.everywhere, ...this.namespaceRules(user, rules, namespace)]) {
      if (rule.resources !== undefined && rule.resources.length > 0) {
        resourceRules.push({
          verbs: rule.verbs,
          apiGroups: rule.apiGroups ?? [],
          resources: rule.resources,
          resourceNames: rule.resourceNames ?? [],
        });
      }
      if (rule.nonResourceURLs !== undefined && rule.nonResourceURLs.length > 0) {
        pathRules.push({ verbs: rule.verbs, nonResourceURLs: rule.nonResourceURLs });
      }
    }
    return { resourceRules, pathRules, incomplete: false };
  }

  private rulesOf(user: User): UserRules {
    this.refresh();
    let rules = this.rulesOfUsers.get(user);
    if (rules === undefined) {
      rules = { everywhere: this.resolve(this.grantsOf(user, '')), byNamespace: new Map() };
      this.rulesOfUsers.set(user, rules);
    }
    return rules;
  }

  private namespaceRules(user: User, rules: UserRules, namespace: string): readonly HeldRule[] {
    let held = rules.byNamespace.get(namespace);
    if (held === undefined) {
      held = this.resolve(this.grantsOf(user, namespace));
      // A user may ask about any namespace, real or not: keep only those with something in them.
      if (held.length > 0) rules.byNamespace.set(namespace, held);
    }
    return held;
  }

  /** Drops what was derived from objects that changed since. */
  private refresh(): void {
    const bindings = `${this.objects.revision(ClusterRoleBinding)}/${this.objects.revision(RoleBinding)}`;
    const roles = `${this.objects.revision(ClusterRole)}/${this.objects.revision(Role)}`;
    if (bindings !== this.bindingsSeen) {
      this.bindingsSeen = bindings;
      this.indexBindings();
    } else if (roles === this.rolesSeen) {
      return;
    }
    this.rolesSeen = roles;
    this.rulesOfUsers = new WeakMap();
  }

  private indexBindings(): void {
    this.grants = new Map();
    for (const binding of this.objects.list(ClusterRoleBinding)) this.index(binding, '');
    for (const binding of this.objects.list(RoleBinding)) this.index(binding, binding.metadata.namespace);
  }

  private index(binding: ClusterRoleBinding | RoleBinding, namespace: string): void {
    for (const subject of binding.subjects ?? []) {
      const serviceAccount = subject.kind === 'ServiceAccount';
      const who = serviceAccount ? `User/system:serviceaccount:${subject.namespace ?? namespace}:${subject.name}` : `${subject.kind}/${subject.name}`;
      const key = `${namespace}|${who}`;
      const words = serviceAccount ? `ServiceAccount "${subject.name}/${subject.namespace ?? namespace}"` : `${subject.kind} "${subject.name}"`;
      const grant: Grant = { binding, namespace, decision: { verdict: 'allowed', reason: allowedBy(binding, words, namespace) } };
      const known = this.grants.get(key);
      if (known === undefined) this.grants.set(key, [grant]);
      else known.push(grant);
    }
  }

  private grantsOf(user: User, namespace: string): Grant[] {
    const found = [...(this.grants.get(`${namespace}|User/${user.name}`) ?? [])];
    for (const group of user.groups) found.push(...(this.grants.get(`${namespace}|Group/${group}`) ?? []));
    return found;
  }

  private resolve(grants: readonly Grant[]): HeldRule[] {
    return grants.flatMap((grant) => this.rulesOfRole(grant).map((rule) => ({ rule, grant })));
  }

  private rulesOfRole({ binding, namespace }: Grant): readonly V1PolicyRule[] {
    const { kind, name } = binding.roleRef;
    if (kind === 'Role') return namespace === '' ? [] : (this.objects.get(Role, namespace, name)?.rules ?? []);
    const role = this.objects.get(ClusterRole, undefined, name);
    return role === undefined ? [] : this.rulesOfClusterRole(role, new Set());
  }

  /** A role with an aggregation rule has the rules of all roles its selectors match, at any depth. */
  private rulesOfClusterRole(role: ClusterRole, visited: Set<string>): readonly V1PolicyRule[] {
    const selectors = role.aggregationRule?.clusterRoleSelectors;
    if (selectors === undefined || visited.has(role.metadata.name)) return role.rules ?? [];
    visited.add(role.metadata.name);
    const parsed = selectors.map((selector) => selectorOf(selector));
    const members = this.objects
      .list(ClusterRole)
      .filter((other) => other !== role && parsed.some((selector) => selector.matches(other.metadata.labels)));
    return members.flatMap((member) => this.rulesOfClusterRole(member, visited));
  }
}

function firstMatch(held: readonly HeldRule[], attributes: Attributes): HeldRule | undefined {
  for (const candidate of held) if (ruleAllows(candidate.rule, attributes)) return candidate;
  return undefined;
}

function allowedBy(binding: ClusterRoleBinding | RoleBinding, subject: string, namespace: string): string {
  const { roleRef, metadata } = binding;
  const bound = namespace === '' ? `ClusterRoleBinding "${metadata.name}"` : `RoleBinding "${metadata.name}/${namespace}"`;
  return `RBAC: allowed by ${bound} of ${roleRef.kind} "${roleRef.name}" to ${subject}`;
}
