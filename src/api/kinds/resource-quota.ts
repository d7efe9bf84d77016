/** ResourceQuota (core/v1): what all objects of a namespace together may use. */
import { equal } from '../../machinery/equal.ts';
import { at, invalidValue, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { messages } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1ResourceQuota } from '../types.ts';

export type ResourceQuota = V1ResourceQuota;

export const ResourceQuota: Kind<V1ResourceQuota> = defineKind<V1ResourceQuota>({
  kind: 'ResourceQuota',
  resource: 'resourcequotas',
  model: 'V1ResourceQuota',
  shortNames: ['quota'],
  subresources: { status: statusSubresource },
  validate: ({ spec }, old) => [
    ...validateAmounts('spec.hard', spec.hard ?? {}),
    ...validateScopes('spec.scopes', spec.scopes ?? []),
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

function validateScopes(field: string, found: readonly string[]): FieldError[] {
  const errors = found.filter((scope) => !scopes.includes(scope)).map(() => invalidValue(field, found, 'unsupported scope'));
  const clash = (a: string, b: string): boolean => found.includes(a) && found.includes(b);
  if (clash('Terminating', 'NotTerminating') || clash('BestEffort', 'NotBestEffort')) errors.push(invalidValue(field, found, 'conflicting scopes'));
  return errors;
}
