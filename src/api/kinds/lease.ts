/** Lease (coordination.k8s.io/v1): who leads, and until when; nodes show with one that they live. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { forbiddenField } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { messages, nonNegative, positive } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1Lease } from '../types.ts';

export type Lease = V1Lease;

export const Lease: Kind<V1Lease> = defineKind<V1Lease>({
  group: 'coordination.k8s.io',
  kind: 'Lease',
  resource: 'leases',
  model: 'V1Lease',
  validate: ({ spec }) => [
    ...positive('spec.leaseDurationSeconds', spec.leaseDurationSeconds),
    ...nonNegative('spec.leaseTransitions', spec.leaseTransitions),
    ...(spec.strategy === undefined ? [] : messages('spec.strategy', spec.strategy, qualifiedNameErrors(spec.strategy))),
    ...((spec.preferredHolder ?? '') !== '' && (spec.strategy ?? '') === ''
      ? [forbiddenField('spec.preferredHolder', 'may only be specified when `strategy` is defined')]
      : []),
  ],
  columns: [nameColumn, column('Holder', 'Who has it.', ({ spec }) => spec.holderIdentity ?? ''), ageColumn],
});
