/** Whether some RBAC rules cover others, and in which words upstream lists those that they do not. Follows `rbac/validation` and `PolicyRule.CompactString`. */
import type { V1PolicyRule } from '../../api/types.ts';

/** The smallest parts of `wanted` that nothing in `held` covers. */
export function missingRules(held: readonly V1PolicyRule[], wanted: readonly V1PolicyRule[]): V1PolicyRule[] {
  return wanted.flatMap(partsOf).filter((part) => !held.some((rule) => covers(rule, part)));
}

/** One verb on one resource of one group (of one name), or on one path. */
function partsOf({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: V1PolicyRule): V1PolicyRule[] {
  const onResources = apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb) => {
        const part = { verbs: [verb], apiGroups: [group], resources: [resource] };
        return resourceNames.length === 0 ? [part] : resourceNames.map((name) => ({ ...part, resourceNames: [name] }));
      }),
    ),
  );
  return [...onResources, ...nonResourceURLs.flatMap((path) => verbs.map((verb) => ({ verbs: [verb], nonResourceURLs: [path] })))];
}

function covers(rule: V1PolicyRule, part: V1PolicyRule): boolean {
  if (!hasAll(rule.verbs, part.verbs)) return false;
  if (part.nonResourceURLs) return part.nonResourceURLs.every((path) => (rule.nonResourceURLs ?? []).some((held) => pathCovers(held, path)));
  const names = rule.resourceNames ?? [];
  return (
    hasAll(rule.apiGroups ?? [], part.apiGroups ?? []) &&
    (part.resources ?? []).every((resource) => resourceCovered(rule.resources ?? [], resource)) &&
    (names.length === 0 || ((part.resourceNames?.length ?? 0) > 0 && (part.resourceNames ?? []).every((name) => names.includes(name))))
  );
}

function hasAll(held: readonly string[], wanted: readonly string[]): boolean {
  return held.includes('*') || wanted.every((one) => held.includes(one));
}

function resourceCovered(held: readonly string[], resource: string): boolean {
  if (held.includes('*') || held.includes(resource)) return true;
  const slash = resource.indexOf('/');
  return slash >= 0 && held.includes(`*${resource.slice(slash)}`);
}

function pathCovers(held: string, path: string): boolean {
  return held === path || held === '*' || (held.endsWith('*') && path.replace(/\*$/, '').startsWith(held.slice(0, -1)));
}

/** Puts the verbs of parts that are alike otherwise together. */
export function compactRules(parts: readonly V1PolicyRule[]): V1PolicyRule[] {
  const byTarget = new Map<string, V1PolicyRule>();
  const others: V1PolicyRule[] = [];
  for (const part of parts) {
    if (part.nonResourceURLs) {
      others.push(part);
      continue;
    }
    const key = JSON.stringify([part.apiGroups, part.resources, part.resourceNames]);
    const known = byTarget.get(key);
    if (known) known.verbs = [...new Set([...known.verbs, ...part.verbs])];
    else byTarget.set(key, { ...part });
  }
  return [...others, ...byTarget.values()];
}

/** `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}` */
export function describeRule({ apiGroups, resources, nonResourceURLs, resourceNames, verbs }: V1PolicyRule): string {
  const part = (label: string, values: readonly string[] | undefined): string[] =>
    values === undefined || values.length === 0 ? [] : [`${label}:[${values.map((value) => JSON.stringify(value)).join(' ')}]`];
  const parts = [
    ...part('APIGroups', apiGroups),
    ...part('Resources', resources),
    ...part('NonResourceURLs', nonResourceURLs),
    ...part('ResourceNames', resourceNames),
    ...part('Verbs', verbs),
  ];
  return `{${parts.join(', ')}}`;
}
