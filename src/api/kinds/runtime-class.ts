/** RuntimeClass (node.k8s.io/v1): a way to run containers. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { dnsLabelErrors } from '../../machinery/names.ts';
import { immutable, messages } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1RuntimeClass } from '../types.ts';

export type RuntimeClass = V1RuntimeClass;

export const RuntimeClass: Kind<V1RuntimeClass> = defineKind<V1RuntimeClass>({
  group: 'node.k8s.io',
  kind: 'RuntimeClass',
  resource: 'runtimeclasses',
  model: 'V1RuntimeClass',
  namespaced: false,
  validate: ({ handler }, old) => [
    ...messages('handler', handler, dnsLabelErrors(handler)),
    ...(old === undefined ? [] : immutable('handler', handler, old.handler)),
  ],
  columns: [nameColumn, column('Handler', "The container runtime's own name for it.", ({ handler }) => handler), ageColumn],
});
