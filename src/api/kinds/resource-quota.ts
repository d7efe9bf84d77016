/** ResourceQuota (core/v1): what all objects of a namespace together may use. */
import { equal } from '../../machinery/equal.ts';
import { at, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { messages } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1ResourceQuota, V1ResourceQuotaSpec } from '../types.ts';

export type ResourceQuota = V1ResourceQuota;

export const ResourceQuota: Kind<V1ResourceQuota> = defineKind<V1ResourceQuota>({
  kind: 'ResourceQuota',
  resource: 'resourcequotas',
  model: 'V1ResourceQuota',
  shortNames: ['quota'],
  subresources: { status: statusSubresource },
  validate: ({ spec }, old) => [
    ...validateAmounts('spec.hard', spec.hard ?? {}),
    ...validateScopes('spec.scopes', spec.scopes ?? [], spec.hard ?? {}),
    ...validateScopeSelector('spec.scopeSelector', spec),
    ...(old === undefined || equal(spec.scopes, old.spec.scopes) ? [] : [invalidValue('spec.scopes', spec.scopes ?? null, 'field is immutable')]),
  ],
  validateStatus: ({ status }) => [...validateAmounts('status.hard', status.hard ?? {}), ...validateAmounts('status.used', status.used ?? {})],
  columns: [
    nameColumn,
    column('Request', 'Requests and counts: used, and allowed.', (quota) => usageText(quota, false)),
    column('Limit', 'Limits: used, and allowed.', (quota) => usageText(quota, true)),
    ageColumn,
  ],
});

function usageText({ status }: V1ResourceQuota, limits: boolean): string {
  return Object.keys(status.hard ?? {})
    .filter((name) => name.startsWith('limits.') === limits)
    .toSorted()
    .map((name) => `${name}: ${status.used?.[name] ?? '0'}/${status.hard?.[name] ?? '0'}`)
    .join(', ');
}

const standard: ReadonlySet<string> = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
]);
const counts: ReadonlySet<string> = new Set([...standard].slice([...standard].indexOf('pods')));

function validateAmounts(field: string, amounts: Readonly<Record<string, string>>): FieldError[] {
  return Object.entries(amounts).flatMap(([name, amount]) => {
    const path = at(field, name);
    const errors = messages(path, name, qualifiedNameErrors(name));
    if (errors.length === 0 && !name.includes('/') && !standard.has(name) && !/^(requests\.|limits\.)?hugepages-/.test(name)) {
      errors.push(
        invalidValue(path, name, 'must be a standard resource type or fully qualified'),
        invalidValue(path, name, 'must be a standard resource for quota'),
      );
    }
    const quantity = parseQuantity(amount);
    if (quantity.compare(Quantity.zero) < 0) errors.push(invalidValue(path, amount, 'must be greater than or equal to 0'));
    const whole = counts.has(name) || name.startsWith('count/');
    if (whole && quantity.milliValue() % 1000 !== 0) errors.push(invalidValue(path, amount, 'must be an integer'));
    return errors;
  });
}

const scopes = [
  'Terminating',
  'NotTerminating',
  'BestEffort',
  'NotBestEffort',
  'PriorityClass',
  'CrossNamespacePodAffinity',
  'VolumeAttributesClass',
];

/** What each scope can limit: those about pods only what pods use. */
function limits(scope: string, resource: string): boolean {
  switch (scope) {
    case 'BestEffort':
      return resource === 'pods';
    case 'Terminating':
    case 'NotTerminating':
    case 'NotBestEffort':
    case 'PriorityClass':
    case 'CrossNamespacePodAffinity':
      return podResources.test(resource);
    case 'VolumeAttributesClass':
      return /^(persistentvolumeclaims|requests\.storage)$|\.storageclass\.storage\.k8s\.io\/|^count\/persistentvolumeclaims$/.test(resource);
    default:
      return true;
  }
}

const podResources = /^(pods|cpu|memory|ephemeral-storage|(requests|limits)\.(cpu|memory|ephemeral-storage)|(requests\.)?hugepages-.*|count\/pods)$/;

const onlyExists = ['BestEffort', 'NotBestEffort', 'Terminating', 'NotTerminating', 'CrossNamespacePodAffinity'];

function validateScopeSelector(field: string, { scopeSelector, hard = {} }: V1ResourceQuotaSpec): FieldError[] {
  const expressions = scopeSelector?.matchExpressions ?? [];
  const path = `${field}.matchExpressions`;
  const errors = expressions.flatMap(({ scopeName, operator, values = [] }) => {
    const found: FieldError[] = [];
    if (!scopes.includes(scopeName)) found.push(invalidValue(`${path}.scopeName`, scopeName, 'unsupported scope'));
    else if (Object.keys(hard).some((resource) => !limits(scopeName, resource)))
      found.push(invalidValue(field, scopeSelector, 'unsupported scope applied to resource'));
    if (onlyExists.includes(scopeName) && operator !== 'Exists') {
      const why =
        "must be 'Exist' operator when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
      found.push(invalidValue(`${path}.operator`, operator, why));
    }
    if ((operator === 'In' || operator === 'NotIn') && values.length === 0)
      found.push(required(`${path}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"));
    if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0)
      found.push(invalidValue(`${path}.values`, values, "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector"));
    if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(operator))
      found.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'));
    return found;
  });
  const names = expressions.map(({ scopeName }) => scopeName);
  if (clashing(names)) errors.push(invalidValue(field, names, 'conflicting scopes'));
  return errors;
}

function clashing(names: readonly string[]): boolean {
  const both = (a: string, b: string): boolean => names.includes(a) && names.includes(b);
  return both('Terminating', 'NotTerminating') || both('BestEffort', 'NotBestEffort');
}

function validateScopes(field: string, found: readonly string[], hard: Readonly<Record<string, string>>): FieldError[] {
  const errors = found.filter((scope) => !scopes.includes(scope)).map(() => invalidValue(field, found, 'unsupported scope'));
  if (found.some((scope) => Object.keys(hard).some((resource) => !limits(scope, resource))))
    errors.push(invalidValue(field, found, 'unsupported scope applied to resource'));
  if (clashing(found)) errors.push(invalidValue(field, found, 'conflicting scopes'));
  return errors;
}
