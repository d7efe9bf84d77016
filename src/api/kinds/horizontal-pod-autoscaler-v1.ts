/** HorizontalPodAutoscaler of autoscaling/v1: the older view, with cpu as its only metric. What it cannot say is kept in an annotation, as upstream does. */
import { defineKind, statusSubresource } from '../define-kind.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import type { Kind } from '../kind.ts';
import type { V1HorizontalPodAutoscaler, V2HorizontalPodAutoscaler, V2HorizontalPodAutoscalerBehavior, V2MetricSpec } from '../types.ts';
import { HorizontalPodAutoscaler } from './horizontal-pod-autoscaler.ts';

export type HorizontalPodAutoscalerV1 = V1HorizontalPodAutoscaler;

export const HorizontalPodAutoscalerV1: Kind<V1HorizontalPodAutoscaler> = defineKind<V1HorizontalPodAutoscaler>({
  group: 'autoscaling',
  kind: 'HorizontalPodAutoscaler',
  resource: 'horizontalpodautoscalers',
  model: 'V1HorizontalPodAutoscaler',
  shortNames: ['hpa'],
  categories: ['all'],
  subresources: { status: statusSubresource },
  defaults({ spec, status }) {
    spec.scaleTargetRef ??= { kind: '', name: '' };
    spec.minReplicas ??= 1;
    status.currentReplicas ??= 0;
    status.desiredReplicas ??= 0;
  },
  validate: (autoscaler, old) => HorizontalPodAutoscaler.validate?.(toV2(autoscaler), old && toV2(old)) ?? [],
  columns: [
    nameColumn,
    column('Reference', 'What is scaled.', ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`),
    column('Targets', 'Use of cpu: as it is, and as it should be.', ({ spec, status }) => {
      const percent = (value: number | undefined): string => (value === undefined ? '<unknown>' : `${value}%`);
      return `cpu: ${percent(status.currentCPUUtilizationPercentage)}/${percent(spec.targetCPUUtilizationPercentage)}`;
    }),
    column('MinPods', 'The least pods.', ({ spec }) => String(spec.minReplicas ?? '<unset>')),
    column('MaxPods', 'The most pods.', ({ spec }) => spec.maxReplicas),
    column('Replicas', 'Pods there are.', ({ status }) => status.currentReplicas),
    ageColumn,
  ],
  storedAs: {
    kind: () => HorizontalPodAutoscaler,
    toStored: toV2,
    fromStored: (stored) => fromV2(stored as V2HorizontalPodAutoscaler),
  },
});

const metricsAnnotation = 'autoscaling.alpha.kubernetes.io/metrics';
const behaviorAnnotation = 'autoscaling.alpha.kubernetes.io/behavior';

function toV2({ spec, status, ...rest }: V1HorizontalPodAutoscaler): V2HorizontalPodAutoscaler {
  const { [metricsAnnotation]: others, [behaviorAnnotation]: behavior, ...annotations } = rest.metadata.annotations ?? {};
  const { targetCPUUtilizationPercentage: cpu, ...same } = spec;
  const metrics: V2MetricSpec[] = cpu === undefined ? [] : [cpuMetric(cpu)];
  if (others !== undefined) metrics.push(...(JSON.parse(others) as V2MetricSpec[]));
  const { currentCPUUtilizationPercentage: current, ...sameStatus } = status;
  const currentMetrics = [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: current } } }];
  return {
    ...rest,
    apiVersion: 'autoscaling/v2',
    metadata: { ...rest.metadata, ...(rest.metadata.annotations !== undefined && { annotations }) },
    spec: { ...same, metrics, ...(behavior !== undefined && { behavior: JSON.parse(behavior) as V2HorizontalPodAutoscalerBehavior }) },
    status: { ...sameStatus, currentMetrics: current === undefined ? [] : currentMetrics },
  };
}

function cpuMetric(averageUtilization: number): V2MetricSpec {
  return { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } };
}

function fromV2({ spec, status, ...rest }: V2HorizontalPodAutoscaler): V1HorizontalPodAutoscaler {
  const { metrics = [], behavior, ...same } = spec;
  const isCpu = ({ resource }: V2MetricSpec): boolean => resource?.name === 'cpu' && resource.target.averageUtilization !== undefined;
  const cpu = metrics.find(isCpu)?.resource?.target.averageUtilization;
  const others = metrics.filter((metric) => !isCpu(metric));
  const { currentMetrics = [], conditions: _conditions, ...sameStatus } = status;
  const current = currentMetrics.find(({ resource }) => resource?.name === 'cpu')?.resource?.current.averageUtilization;
  const annotations = {
    ...rest.metadata.annotations,
    ...(others.length > 0 && { [metricsAnnotation]: JSON.stringify(others) }),
    ...(behavior !== undefined && { [behaviorAnnotation]: JSON.stringify(behavior) }),
  };
  return {
    ...rest,
    apiVersion: 'autoscaling/v1',
    metadata: { ...rest.metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...same, ...(cpu !== undefined && { targetCPUUtilizationPercentage: cpu }) },
    status: { currentReplicas: 0, ...sameStatus, ...(current !== undefined && { currentCPUUtilizationPercentage: current }) },
  };
}
