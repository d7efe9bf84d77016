/** APIService (apiregistration.k8s.io/v1): who serves a group version: this server, or one behind a Service. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { invalidValue, required } from '../../machinery/field-error.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1APIService } from '../types.ts';

export type APIService = V1APIService;

export const APIService: Kind<V1APIService> = defineKind<V1APIService>({
  group: 'apiregistration.k8s.io',
  kind: 'APIService',
  resource: 'apiservices',
  model: 'V1APIService',
  categories: ['api-extensions'],
  namespaced: false,
  nameRule: 'path-segment',
  subresources: { status: statusSubresource },
  defaults({ spec }) {
    if (spec.service !== undefined) spec.service.port ??= 443;
  },
  validate: ({ metadata, spec }) => [
    ...(metadata.name === `${spec.version ?? ''}.${spec.group ?? ''}` || metadata.name === `${spec.version ?? ''}.`
      ? []
      : [invalidValue('metadata.name', metadata.name, `must be \`spec.version+"."+spec.group\`: "${spec.version ?? ''}.${spec.group ?? ''}"`)]),
    ...((spec.version ?? '') === '' ? [required('spec.version')] : []),
    ...(spec.groupPriorityMinimum > 0 && spec.groupPriorityMinimum <= 20000
      ? []
      : [invalidValue('spec.groupPriorityMinimum', spec.groupPriorityMinimum, 'must be positive and less than 20000')]),
    ...(spec.versionPriority > 0 && spec.versionPriority <= 1000
      ? []
      : [invalidValue('spec.versionPriority', spec.versionPriority, 'must be positive and less than 1000')]),
  ],
  columns: [
    nameColumn,
    column('Service', 'Who serves the group version.', ({ spec: { service } }) =>
      service === undefined ? 'Local' : `${service.namespace ?? ''}/${service.name ?? ''}`,
    ),
    column('Available', 'Whether it can be asked.', ({ status }) => {
      const available = status.conditions?.find(({ type }) => type === 'Available');
      return available === undefined ? 'Unknown' : available.status === 'True' ? 'True' : `${available.status} (${available.reason ?? ''})`;
    }),
    ageColumn,
  ],
});
