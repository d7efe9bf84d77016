/** Rules that say which writes webhooks and admission policies are about. */
import { at, type FieldError, invalidValue, required } from '../../machinery/field-error.ts';
import { oneOf } from '../field-checks.ts';
import type { V1RuleWithOperations } from '../types.ts';

const operations = ['CONNECT', 'CREATE', 'DELETE', 'UPDATE'];

export function validateRule(field: string, rule: V1RuleWithOperations): FieldError[] {
  const errors: FieldError[] = [];
  const words = { operations: 'operations', apiGroups: 'apiGroups', apiVersions: 'versions' } as const;
  for (const [part, plural] of Object.entries(words) as [keyof typeof words, string][]) {
    const list = rule[part] ?? [];
    if (list.length === 0) errors.push(required(`${field}.${part}`));
    if (list.length > 1 && list.includes('*'))
      errors.push(invalidValue(`${field}.${part}`, list, `if '*' is present, must not specify other ${plural}`));
  }
  for (const [index, operation] of (rule.operations ?? []).entries())
    if (operation !== '*') errors.push(...oneOf(at(`${field}.operations`, index), operation, operations));
  for (const [index, version] of (rule.apiVersions ?? []).entries()) if (version === '') errors.push(required(at(`${field}.apiVersions`, index)));
  return [
    ...errors,
    ...validateResources(`${field}.resources`, rule.resources ?? []),
    ...oneOf(`${field}.scope`, rule.scope, ['*', 'Cluster', 'Namespaced']),
  ];
}

/** `pods`, `pods/status`, `pods/*`, `*\/status` and the like; none that another covers. */
function validateResources(field: string, resources: readonly string[]): FieldError[] {
  if (resources.length === 0) return [required(field)];
  const errors: FieldError[] = [];
  const whole = new Set<string>();
  const everySubresourceOf = new Set<string>();
  const subresources = new Set<string>();
  for (const [index, resource] of resources.entries()) {
    const path = at(field, index);
    if (resource === '') errors.push(required(path));
    if (resource === '*/*') whole.add(resource);
    const [name = '', subresource] = resource.split('/');
    if (subresource === undefined) continue;
    const covered = (by: string): number => errors.push(invalidValue(path, resource, `if '${by}' is present, must not specify ${resource}`));
    if (everySubresourceOf.has(name)) covered(`${name}/*`);
    if (subresources.has(subresource)) covered(`*/${subresource}`);
    if (subresource === '*') everySubresourceOf.add(name);
    if (name === '*') subresources.add(subresource);
  }
  if (resources.length > 1 && whole.has('*/*')) errors.push(invalidValue(field, resources, "if '*/*' is present, must not specify other resources"));
  if (resources.length > 1 && resources.includes('*') && resources.some((resource) => resource !== '*' && !resource.includes('/')))
    errors.push(invalidValue(field, resources, "if '*' is present, must not specify other resources without subresources"));
  return errors;
}
