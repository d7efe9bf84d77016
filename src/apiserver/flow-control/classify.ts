/** Which flow schema a request belongs to: the first, by precedence and name, one of whose rules has the user among its subjects and covers the request. */
import type { FlowSchema } from '../../api/kinds.ts';
import type { FlowcontrolV1Subject, V1NonResourcePolicyRule, V1ResourcePolicyRule } from '../../api/types.ts';
import type { Attributes } from '../authorization/authorizer.ts';
import type { User } from '../request.ts';

const serviceAccountPrefix = 'system:serviceaccount:';

/** What of a request a schema looks at. */
export type Classified = Pick<Attributes, 'verb' | 'group' | 'resource' | 'subresource' | 'namespace' | 'path'>;

/** The rules of a schema that are about a user. */
export interface UserRules {
  readonly resourceRules: readonly V1ResourcePolicyRule[];
  readonly nonResourceRules: readonly V1NonResourcePolicyRule[];
}

/** Undefined when none of the schema's rules is about the user. */
export function rulesForUser({ spec }: FlowSchema, user: User): UserRules | undefined {
  const rules = (spec.rules ?? []).filter(({ subjects }) => subjects.some((subject) => isSubject(subject, user)));
  if (rules.length === 0) return undefined;
  return {
    resourceRules: rules.flatMap((rule) => rule.resourceRules ?? []),
    nonResourceRules: rules.flatMap((rule) => rule.nonResourceRules ?? []),
  };
}

export function covers({ resourceRules, nonResourceRules }: UserRules, request: Classified): boolean {
  if (request.path !== '') {
    for (const rule of nonResourceRules) {
      if (has(rule.verbs, request.verb) && rule.nonResourceURLs.some((pattern) => matchesPath(pattern, request.path))) return true;
    }
    return false;
  }
  for (const rule of resourceRules) if (coversResource(rule, request)) return true;
  return false;
}

function coversResource({ verbs, apiGroups, resources, namespaces, clusterScope }: V1ResourcePolicyRule, request: Classified): boolean {
  if (!has(verbs, request.verb) || !has(apiGroups, request.group)) return false;
  if (!has(resources, request.subresource === '' ? request.resource : `${request.resource}/${request.subresource}`)) return false;
  return request.namespace === '' ? clusterScope === true : namespaces !== undefined && has(namespaces, request.namespace);
}

function has(values: readonly string[], wanted: string): boolean {
  for (const value of values) if (value === '*' || value === wanted) return true;
  return false;
}

function matchesPath(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('/*') && path.startsWith(pattern.slice(0, -1));
}

function isSubject({ kind, user: named, group, serviceAccount }: FlowcontrolV1Subject, user: User): boolean {
  switch (kind) {
    case 'User':
      return named?.name === '*' || named?.name === user.name;
    case 'Group':
      return group?.name === '*' || (group !== undefined && user.groups.includes(group.name));
    case 'ServiceAccount': {
      if (serviceAccount === undefined || !user.name.startsWith(serviceAccountPrefix)) return false;
      const [namespace, name] = user.name.slice(serviceAccountPrefix.length).split(':');
      return namespace === serviceAccount.namespace && (serviceAccount.name === '*' || serviceAccount.name === name);
    }
    default:
      return false;
  }
}
