/** APIService (apiregistration.k8s.io/v1): who serves a group version: this server, or one behind a Service. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dns1035LabelErrors, dnsSubdomainErrors } from '../../machinery/names.ts';
import { optionalName, requiredName } from '../field-checks.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1APIService, V1APIServiceSpec } from '../types.ts';

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
    ...(metadata.name === `${spec.version ?? ''}.${spec.group ?? ''}`
      ? []
      : [invalidValue('metadata.name', metadata.name, `must be \`spec.version+"."+spec.group\`: "${spec.version ?? ''}.${spec.group ?? ''}"`)]),
    ...optionalName('spec.group', spec.group, dnsSubdomainErrors),
    ...requiredName('spec.version', spec.version, dns1035LabelErrors),
    ...(spec.groupPriorityMinimum > 0 && spec.groupPriorityMinimum <= 20000
      ? []
      : [invalidValue('spec.groupPriorityMinimum', spec.groupPriorityMinimum, 'must be positive and less than 20000')]),
    ...(spec.versionPriority > 0 && spec.versionPriority <= 1000
      ? []
      : [invalidValue('spec.versionPriority', spec.versionPriority, 'must be positive and less than 1000')]),
    ...validateTrust('spec', spec),
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

/** Whom to ask, and how to know it is them. */
function validateTrust(field: string, { service, caBundle = '', insecureSkipTLSVerify = false }: V1APIServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (service === undefined) {
    if (caBundle !== '') errors.push(invalidValue(`${field}.caBundle`, `${caBundle.length} bytes`, 'local APIServices may not have a caBundle'));
    if (insecureSkipTLSVerify)
      errors.push(invalidValue(`${field}.insecureSkipTLSVerify`, true, 'local APIServices may not have insecureSkipTLSVerify'));
    return errors;
  }
  if ((service.namespace ?? '') === '') errors.push(required(`${field}.service.namespace`));
  if ((service.name ?? '') === '') errors.push(required(`${field}.service.name`));
  const { port = 443 } = service;
  if (port < 1 || port > 65535) errors.push(invalidValue(`${field}.service.port`, port, 'port is not valid: must be between 1 and 65535, inclusive'));
  if (insecureSkipTLSVerify && caBundle !== '')
    errors.push(invalidValue(`${field}.insecureSkipTLSVerify`, true, 'may not be true if caBundle is present'));
  return errors;
}
