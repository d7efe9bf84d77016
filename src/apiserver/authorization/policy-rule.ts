/** Rules of RBAC in a line each: words separated by spaces. The core group is the empty word: `' apps'` is core and apps. */
import type { V1PolicyRule } from '../../api/types.ts';

export function rule(verbs: string, groups: string, resources: string, names = ''): V1PolicyRule {
  return {
    verbs: verbs.split(' '),
    apiGroups: groups.split(' '),
    resources: resources.split(' '),
    ...(names !== '' && { resourceNames: names.split(' ') }),
  };
}

export function pathRule(verbs: string, paths: string): V1PolicyRule {
  return { verbs: verbs.split(' '), nonResourceURLs: paths.split(' ') };
}
