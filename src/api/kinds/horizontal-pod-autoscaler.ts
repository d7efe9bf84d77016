/** HorizontalPodAutoscaler (autoscaling/v2): changes a workload's replicas with its load. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { nonNegative } from '../field-checks.ts';
import { validateAutoscaler } from './autoscaler-rules.ts';
import type { Kind } from '../kind.ts';
import type { V2HorizontalPodAutoscaler, V2MetricSpec, V2MetricStatus, V2MetricTarget, V2MetricValueStatus } from '../types.ts';

export type HorizontalPodAutoscaler = V2HorizontalPodAutoscaler;

export const HorizontalPodAutoscaler: Kind<V2HorizontalPodAutoscaler> = defineKind<V2HorizontalPodAutoscaler>({
  group: 'autoscaling',
  version: 'v2',
  kind: 'HorizontalPodAutoscaler',
  resource: 'horizontalpodautoscalers',
  model: 'V2HorizontalPodAutoscaler',
  shortNames: ['hpa'],
  categories: ['all'],
  subresources: { status: statusSubresource },
  defaults({ spec, status }) {
    spec.scaleTargetRef ??= { kind: '', name: '' };
    spec.minReplicas ??= 1;
    if ((spec.metrics ?? []).length === 0) {
      spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }];
    }
    if (spec.behavior !== undefined) {
      const up = (spec.behavior.scaleUp ??= {});
      up.stabilizationWindowSeconds ??= 0;
      up.selectPolicy ??= 'Max';
      up.policies ??= [
        { type: 'Pods', value: 4, periodSeconds: 15 },
        { type: 'Percent', value: 100, periodSeconds: 15 },
      ];
      const down = (spec.behavior.scaleDown ??= {});
      down.selectPolicy ??= 'Max';
      down.policies ??= [{ type: 'Percent', value: 100, periodSeconds: 15 }];
    }
    status.desiredReplicas ??= 0;
    status.currentMetrics ??= [];
  },
  prepareForCreate(autoscaler) {
    autoscaler.status = { desiredReplicas: 0, currentMetrics: [] };
  },
  validate: ({ spec }) => validateAutoscaler('spec', spec),
  validateStatus: ({ status }) => [
    ...nonNegative('status.currentReplicas', status.currentReplicas),
    ...nonNegative('status.desiredReplicas', status.desiredReplicas),
  ],
  columns: [
    nameColumn,
    column('Reference', 'What is scaled.', ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`),
    column('Targets', 'Each metric: as it is, and as it should be.', ({ spec, status }) =>
      targetsText(spec.metrics ?? [], status.currentMetrics ?? []),
    ),
    column('MinPods', 'The least pods.', ({ spec }) => String(spec.minReplicas ?? '<unset>')),
    column('MaxPods', 'The most pods.', ({ spec }) => spec.maxReplicas),
    column('Replicas', 'Pods there are.', ({ status }) => status.currentReplicas ?? 0),
    ageColumn,
  ],
});

function targetsText(specs: readonly V2MetricSpec[], statuses: readonly V2MetricStatus[]): string {
  if (specs.length === 0) return '<none>';
  const shown = specs.slice(0, 2).map((spec, index) => targetText(spec, statuses[index]));
  return specs.length > 2 ? `${shown.join(', ')} + ${specs.length - 2} more...` : shown.join(', ');
}

function targetText(spec: V2MetricSpec, status: V2MetricStatus | undefined): string {
  const { resource, containerResource, pods, object, external } = spec;
  if (resource !== undefined) return `${resource.name}: ${valueText(resource.target, status?.resource?.current)}`;
  if (containerResource !== undefined) return `${containerResource.name}: ${valueText(containerResource.target, status?.containerResource?.current)}`;
  if (pods !== undefined) return valueText(pods.target, status?.pods?.current);
  if (object !== undefined) return valueText(object.target, status?.object?.current);
  return external === undefined ? '<unknown type>' : valueText(external.target, status?.external?.current);
}

function valueText(target: V2MetricTarget, current: V2MetricValueStatus | undefined): string {
  const unknown = '<unknown>';
  if (target.averageUtilization !== undefined) {
    return `${current?.averageUtilization === undefined ? unknown : `${current.averageUtilization}%`}/${target.averageUtilization}%`;
  }
  if (target.averageValue !== undefined) return `${current?.averageValue ?? unknown}/${target.averageValue} (avg)`;
  return `${current?.value ?? unknown}/${target.value ?? '<auto>'}`;
}
