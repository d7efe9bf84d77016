/** IngressClass (networking.k8s.io/v1): who serves which Ingresses. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { forbiddenField, required, tooLong, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors, dnsSubdomainErrors, domainPrefixedPathErrors, pathSegmentErrors } from '../../machinery/names.ts';
import { immutable, optionalName, requiredName, requiredOneOf } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1IngressClass, V1IngressClassParametersReference } from '../types.ts';

export type IngressClass = V1IngressClass;

export const IngressClass: Kind<V1IngressClass> = defineKind<V1IngressClass>({
  group: 'networking.k8s.io',
  kind: 'IngressClass',
  resource: 'ingressclasses',
  model: 'V1IngressClass',
  namespaced: false,
  generation: true,
  defaults({ spec }) {
    if (spec.parameters !== undefined) spec.parameters.scope ??= 'Cluster';
  },
  validate: ({ spec }, old) => [
    ...requiredName('spec.controller', spec.controller, domainPrefixedPathErrors),
    ...((spec.controller ?? '').length > maxControllerLength ? [tooLong('spec.controller', maxControllerLength)] : []),
    ...(spec.parameters === undefined ? [] : validateParameters('spec.parameters', spec.parameters)),
    ...(old === undefined ? [] : immutable('spec.controller', spec.controller, old.spec.controller)),
  ],
  columns: [
    nameColumn,
    column('Controller', 'Who serves Ingresses of the class.', ({ spec }) => spec.controller ?? ''),
    column('Parameters', "Where the controller's settings are.", ({ spec: { parameters } }) => {
      if (parameters === undefined) return '<none>';
      const kind = (parameters.apiGroup ?? '') === '' ? parameters.kind : `${parameters.kind}.${parameters.apiGroup ?? ''}`;
      return `${kind}/${parameters.name}`;
    }),
    ageColumn,
  ],
});

const maxControllerLength = 250;

function validateParameters(field: string, { apiGroup, kind, name, scope, namespace = '' }: V1IngressClassParametersReference): FieldError[] {
  const errors = [
    ...optionalName(`${field}.apiGroup`, apiGroup, dnsSubdomainErrors),
    ...requiredName(`${field}.kind`, kind, pathSegmentErrors),
    ...requiredName(`${field}.name`, name, pathSegmentErrors),
    ...requiredOneOf(`${field}.scope`, scope, ['Cluster', 'Namespace']),
    ...optionalName(`${field}.namespace`, namespace, dnsLabelErrors),
  ];
  if (scope === 'Namespace' && namespace === '') errors.push(required(`${field}.namespace`, "`parameters.scope` is set to 'Namespace'"));
  if (scope === 'Cluster' && namespace !== '') errors.push(forbiddenField(`${field}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  return errors;
}
