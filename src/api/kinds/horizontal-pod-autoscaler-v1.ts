/** HorizontalPodAutoscaler of autoscaling/v1: the older view, with cpu as its only metric. What it cannot say is kept in an annotation, as upstream does. */
import { defineKind, statusSubresource } from '../define-kind.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import type { Kind } from '../kind.ts';
import type { V1HorizontalPodAutoscaler, V2HorizontalPodAutoscaler, V2MetricSpec, V2MetricStatus } from '../types.ts';
import { annotationNames, behaviorOf, conditionsOf, currentMetricsOf, currentMetricsText, metricsOf, metricsText } from './autoscaler-annotations.ts';
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

function toV2({ spec, status, ...rest }: V1HorizontalPodAutoscaler): V2HorizontalPodAutoscaler {
  const {
    [annotationNames.metrics]: otherText,
    [annotationNames.behavior]: behaviorText,
    [annotationNames.conditions]: conditionsText,
    [annotationNames.currentMetrics]: currentText,
    ...annotations
  } = rest.metadata.annotations ?? {};
  const { targetCPUUtilizationPercentage: cpu, ...same } = spec;
  const { currentCPUUtilizationPercentage: current, ...sameStatus } = status;
  const metrics = [...(cpu === undefined ? [] : [cpuMetric(cpu)]), ...(otherText === undefined ? [] : metricsOf(otherText))];
  const behavior = behaviorText === undefined ? undefined : behaviorOf(behaviorText);
  const conditions = conditionsText === undefined ? [] : conditionsOf(conditionsText);
  const others = currentText === undefined ? [] : currentMetricsOf(currentText);
  // The annotation may tell more of the same metric.
  const cpuNow = current === undefined || others.some(isCpuStatus) ? [] : [cpuStatus(current)];
  const { annotations: _before, ...metadata } = rest.metadata;
  return {
    ...rest,
    apiVersion: 'autoscaling/v2',
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...same, metrics, ...(behavior !== undefined && { behavior }) },
    status: { ...sameStatus, currentMetrics: [...cpuNow, ...others], ...(conditions.length > 0 && { conditions }) },
  };
}

function cpuMetric(averageUtilization: number): V2MetricSpec {
  return { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } };
}

function isCpu({ resource }: V2MetricSpec): boolean {
  return resource?.name === 'cpu' && resource.target?.averageUtilization !== undefined && resource.target.averageValue === undefined;
}

function cpuStatus(averageUtilization: number): V2MetricStatus {
  return { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization } } };
}

function isCpuStatus({ resource }: V2MetricStatus): boolean {
  return resource?.name === 'cpu' && resource.current?.averageUtilization !== undefined;
}

function fromV2({ spec, status, ...rest }: V2HorizontalPodAutoscaler): V1HorizontalPodAutoscaler {
  const { metrics = [], behavior, ...same } = spec;
  const { currentMetrics = [], conditions = [], ...sameStatus } = status;
  const cpu = metrics.findIndex(isCpu);
  const target = metrics[cpu]?.resource?.target.averageUtilization;
  const others = metrics.filter((_metric, index) => index !== cpu);
  const cpuNow = currentMetrics.find(isCpuStatus);
  const current = cpuNow?.resource?.current.averageUtilization;
  const othersNow = currentMetrics.filter((metric) => metric !== cpuNow || metric.resource?.current.averageValue !== undefined);
  const annotations = {
    ...rest.metadata.annotations,
    ...(others.length > 0 && { [annotationNames.metrics]: metricsText(others) }),
    ...(behavior !== undefined && { [annotationNames.behavior]: JSON.stringify(behavior) }),
    ...(conditions.length > 0 && { [annotationNames.conditions]: JSON.stringify(conditions) }),
    ...(othersNow.length > 0 && { [annotationNames.currentMetrics]: currentMetricsText(othersNow) }),
  };
  return {
    ...rest,
    apiVersion: 'autoscaling/v1',
    metadata: { ...rest.metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...same, ...(target !== undefined && { targetCPUUtilizationPercentage: target }) },
    status: { currentReplicas: 0, ...sameStatus, ...(current !== undefined && { currentCPUUtilizationPercentage: current }) },
  };
}
