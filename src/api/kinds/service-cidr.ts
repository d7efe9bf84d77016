/** ServiceCIDR (networking.k8s.io/v1): a range of cluster addresses for Services. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { at, invalidValue, required } from '../../machinery/field-error.ts';
import { tryParseCidr } from '../../machinery/ip.ts';
import { immutable } from '../field-checks.ts';
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
    ...cidrs.flatMap((cidr, index) =>
      tryParseCidr(cidr) === undefined
        ? [invalidValue(at('spec.cidrs', index), cidr, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')]
        : [],
    ),
    ...(old === undefined ? [] : immutable('spec.cidrs', cidrs, old.spec.cidrs)),
  ],
  columns: [nameColumn, column('CIDRs', 'Ranges that cluster addresses come from.', ({ spec }) => (spec.cidrs ?? []).join(',')), ageColumn],
});
