/** RuntimeClass (node.k8s.io/v1): a way to run containers. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { dnsLabelErrors } from '../../machinery/names.ts';
import { immutable, labels, messages, noDuplicates } from '../field-checks.ts';
import { validateOverhead } from '../pods/validate-resources.ts';
import { validateTolerations } from '../pods/validate-scheduling.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import * as warn from '../warnings.ts';
import type { V1RuntimeClass } from '../types.ts';

export type RuntimeClass = V1RuntimeClass;

export const RuntimeClass: Kind<V1RuntimeClass> = defineKind<V1RuntimeClass>({
  group: 'node.k8s.io',
  kind: 'RuntimeClass',
  resource: 'runtimeclasses',
  model: 'V1RuntimeClass',
  namespaced: false,
  validate: ({ handler, overhead, scheduling }, old) => [
    ...messages('handler', handler, dnsLabelErrors(handler)),
    ...(overhead === undefined ? [] : validateOverhead('overhead.podFixed', overhead.podFixed)),
    ...labels('scheduling.nodeSelector', scheduling?.nodeSelector),
    ...validateTolerations('scheduling.tolerations', scheduling?.tolerations ?? []),
    ...noDuplicates('scheduling.tolerations', scheduling?.tolerations, (toleration) => JSON.stringify(toleration)),
    ...(old === undefined ? [] : immutable('handler', handler, old.handler)),
  ],
  warnings: ({ scheduling }) => warn.nodeLabelKeys('scheduling.nodeSelector', scheduling?.nodeSelector),
  columns: [nameColumn, column('Handler', "The container runtime's own name for it.", ({ handler }) => handler), ageColumn],
});
