/** ServiceAccount (core/v1): an identity for pods. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import type { V1ServiceAccount } from '../types.ts';

export type ServiceAccount = V1ServiceAccount;

export const ServiceAccount: Kind<V1ServiceAccount> = defineKind<V1ServiceAccount>({
  kind: 'ServiceAccount',
  resource: 'serviceaccounts',
  model: 'V1ServiceAccount',
  shortNames: ['sa'],
  subresources: { token: { verbs: ['create'], body: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' } } },
  warnings: ({ metadata }) =>
    warn.formerAnnotations('metadata.annotations', metadata, {
      'kubernetes.io/enforce-mountable-secrets': 'deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets',
    }),
  columns: [nameColumn, column('Secrets', 'How many secrets it names.', ({ secrets }) => (secrets ?? []).length), ageColumn],
});
