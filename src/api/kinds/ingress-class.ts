/** IngressClass (networking.k8s.io/v1): who serves which Ingresses. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { immutable } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1IngressClass } from '../types.ts';

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
  validate: ({ spec }, old) => (old === undefined ? [] : immutable('spec.controller', spec.controller, old.spec.controller)),
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
