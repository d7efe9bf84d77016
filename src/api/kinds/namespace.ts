/** Namespace (core/v1): a scope for names. It is deleted in two steps: the namespace controller empties it, then gives up its finalizer. */
import { at, invalidValue } from '../../machinery/field-error.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { finalizerName } from '../object-meta.ts';
import type { Kind } from '../kind.ts';
import type { V1Namespace } from '../types.ts';

export type Namespace = V1Namespace;

const nameLabel = 'kubernetes.io/metadata.name';

export const Namespace: Kind<V1Namespace> = defineKind<V1Namespace>({
  kind: 'Namespace',
  resource: 'namespaces',
  model: 'V1Namespace',
  shortNames: ['ns'],
  namespaced: false,
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  nameRule: 'dns-label',
  subresources: { finalize: { verbs: ['update'] }, status: statusSubresource },
  defaults({ metadata }) {
    if ((metadata.name ?? '') === '') return;
    metadata.labels ??= {};
    if (metadata.labels[nameLabel] !== metadata.name) metadata.labels[nameLabel] = metadata.name;
  },
  prepareForCreate(namespace) {
    namespace.status = { phase: 'Active' };
    const finalizers = namespace.spec.finalizers ?? [];
    namespace.spec.finalizers = finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'];
  },
  prepareForUpdate(namespace, old) {
    // Only the finalize subresource changes these.
    namespace.spec.finalizers = old.spec.finalizers;
    namespace.status = old.status;
  },
  validate: ({ spec }) => (spec.finalizers ?? []).flatMap((name, index) => finalizerName(at('spec.finalizers', index), name)),
  validateStatus({ metadata, status: { phase = '' } }) {
    const [only, when] = metadata.deletionTimestamp === undefined ? ['Active', 'empty'] : ['Terminating', 'not empty'];
    return phase === only ? [] : [invalidValue('status.Phase', phase, `may only be '${only}' if \`deletionTimestamp\` is ${when}`)];
  },
  selectableFields: { 'status.phase': ({ status }) => status.phase ?? '' },
  columns: [nameColumn, column('Status', 'Active, or Terminating while it is being emptied.', ({ status }) => status.phase ?? ''), ageColumn],
});
