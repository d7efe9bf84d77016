/** Whether a rule of RBAC covers a request. A plain matter of lists with `*`; see https://kubernetes.io/docs/reference/access-authn-authz/rbac/ */
import type { V1PolicyRule } from '../../api/types.ts';
import type { Attributes } from './authorizer.ts';

export function ruleAllows(rule: V1PolicyRule, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if (attributes.path !== '')
    return rule.nonResourceURLs !== undefined && rule.nonResourceURLs.some((pattern) => pathMatches(pattern, attributes.path));
  return (
    has(rule.apiGroups, attributes.group) &&
    resourceMatches(rule.resources, attributes.resource, attributes.subresource) &&
    // A rule for certain names never covers a request without one (list, create).
    (rule.resourceNames === undefined || rule.resourceNames.length === 0 || rule.resourceNames.includes(attributes.name))
  );
}

function has(values: readonly string[] | undefined, wanted: string): boolean {
  if (values === undefined) return false;
  for (const value of values) if (value === wanted || value === '*') return true;
  return false;
}

/** A star is everything, `pods/exec` that subresource, a star before the slash the subresource of every resource; `pods` does not cover `pods/exec`. */
function resourceMatches(resources: readonly string[] | undefined, resource: string, subresource: string): boolean {
  if (resources === undefined) return false;
  for (const value of resources) {
    if (value === '*') return true;
    if (subresource === '') {
      if (value === resource) return true;
    } else if (
      value.length > subresource.length &&
      value.endsWith(subresource) &&
      (value === `${resource}/${subresource}` || value === `*/${subresource}`)
    ) {
      return true;
    }
  }
  return false;
}

/** Exact, everything, or everything below a prefix that ends in `*`. */
function pathMatches(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1));
}
