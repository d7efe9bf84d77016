/** FlowSchema, PriorityLevelConfiguration (flowcontrol.apiserver.k8s.io/v1): which requests wait when the server has too many. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import { validateConditions, validateFlowSchema, validatePriorityLevel } from './flow-control-rules.ts';
import type { V1FlowSchema, V1PriorityLevelConfiguration } from '../types.ts';

export type FlowSchema = V1FlowSchema;

export const FlowSchema: Kind<V1FlowSchema> = defineKind<V1FlowSchema>({
  group: 'flowcontrol.apiserver.k8s.io',
  kind: 'FlowSchema',
  resource: 'flowschemas',
  model: 'V1FlowSchema',
  namespaced: false,
  generation: true,
  subresources: { status: statusSubresource },
  defaults({ spec }) {
    spec.matchingPrecedence ||= 1000;
  },
  validate: validateFlowSchema,
  validateStatus: ({ status }) => validateConditions('status.conditions', status.conditions ?? []),
  columns: [
    nameColumn,
    column('PriorityLevel', 'Where matching requests go.', ({ spec }) => spec.priorityLevelConfiguration?.name ?? ''),
    column('MatchingPrecedence', 'The lower, the sooner it is asked.', ({ spec }) => String(spec.matchingPrecedence ?? 0)),
    column('DistinguisherMethod', 'What makes flows of requests.', ({ spec }) => spec.distinguisherMethod?.type ?? '<none>'),
    ageColumn,
    column(
      'MissingPL',
      'Whether the priority level is not there.',
      ({ status }) => status.conditions?.find(({ type }) => type === 'Dangling')?.status ?? '?',
    ),
  ],
});

export type PriorityLevelConfiguration = V1PriorityLevelConfiguration;

export const PriorityLevelConfiguration: Kind<V1PriorityLevelConfiguration> = defineKind<V1PriorityLevelConfiguration>({
  group: 'flowcontrol.apiserver.k8s.io',
  kind: 'PriorityLevelConfiguration',
  resource: 'prioritylevelconfigurations',
  model: 'V1PriorityLevelConfiguration',
  namespaced: false,
  generation: true,
  subresources: { status: statusSubresource },
  defaults({ spec }) {
    if (spec.limited !== undefined) {
      spec.limited.nominalConcurrencyShares ??= 30;
      spec.limited.lendablePercent ??= 0;
      spec.limited.limitResponse ??= { type: 'Reject' };
      const queuing = spec.limited.limitResponse.queuing;
      if (queuing !== undefined) {
        queuing.handSize ||= 8;
        queuing.queues ||= 64;
        queuing.queueLengthLimit ||= 50;
      }
    }
    if (spec.exempt !== undefined) {
      spec.exempt.nominalConcurrencyShares ??= 0;
      spec.exempt.lendablePercent ??= 0;
    }
  },
  validate: validatePriorityLevel,
  validateStatus: ({ status }) => validateConditions('status.conditions', status.conditions ?? []),
  columns: [
    nameColumn,
    column('Type', 'Limited or Exempt.', ({ spec }) => spec.type),
    column('NominalConcurrencyShares', 'Its share of what the server does at a time.', ({ spec }) =>
      shown((spec.limited ?? spec.exempt)?.nominalConcurrencyShares),
    ),
    column('Queues', 'How many queues.', ({ spec }) => shown(spec.limited?.limitResponse?.queuing?.queues)),
    column('HandSize', 'How many queues a flow may use.', ({ spec }) => shown(spec.limited?.limitResponse?.queuing?.handSize)),
    column('QueueLengthLimit', 'How many requests wait in one.', ({ spec }) => shown(spec.limited?.limitResponse?.queuing?.queueLengthLimit)),
    ageColumn,
  ],
});

function shown(value: number | undefined): string {
  return value === undefined ? '<none>' : String(value);
}
