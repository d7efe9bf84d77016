/** ServiceCIDR (networking.k8s.io/v1): a range of cluster addresses for Services. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { at, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { tryParseCidr } from '../../machinery/ip.ts';
import { cidr, immutable } from '../field-checks.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1ServiceCIDR } from '../types.ts';

export type ServiceCIDR = V1ServiceCIDR;

export const ServiceCIDR: Kind<V1ServiceCIDR> = defineKind<V1ServiceCIDR>({
  group: 'networking.k8s.io',
  kind: 'ServiceCIDR',
  resource: 'servicecidrs',
  model: 'V1ServiceCIDR',
  namespaced: false,
  subresources: { status: statusSubresource },
  validate: ({ spec: { cidrs = [] } }, old) => [
    ...(cidrs.length === 0 ? [required('spec.cidrs', 'at least one CIDR required')] : []),
    ...(cidrs.length > 2 ? [invalidValue('spec', cidrs, 'may only hold up to 2 values')] : []),
    ...(cidrs.length === 2 && familyOf(cidrs[0]) === familyOf(cidrs[1])
      ? [invalidValue('spec', cidrs, 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64')]
      : []),
    ...cidrs.flatMap((range, index) => cidr(at('spec.cidrs', index), range)),
    ...(old === undefined ? [] : validateChange('spec.cidrs', cidrs, old.spec.cidrs ?? [])),
  ],
  columns: [nameColumn, column('CIDRs', 'Ranges that cluster addresses come from.', ({ spec }) => (spec.cidrs ?? []).join(',')), ageColumn],
});

function familyOf(range: string | undefined): number | undefined {
  return tryParseCidr(range ?? '')?.address.family;
}

/** A range for the other address family may be added or taken away; the first stays as it is. */
function validateChange(field: string, cidrs: readonly string[], old: readonly string[]): FieldError[] {
  if (cidrs.length === old.length) return immutable(field, cidrs, old);
  return immutable(at(field, 0), cidrs[0], old[0]);
}
