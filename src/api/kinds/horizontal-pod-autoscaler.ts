/** HorizontalPodAutoscaler (autoscaling/v2): changes a workload's replicas with its load. */
import { at, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { pathSegmentErrors } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from '../columns.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import { inRange, messages, oneOf, positive, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type {
  V2HorizontalPodAutoscaler,
  V2HorizontalPodAutoscalerSpec,
  V2HPAScalingRules,
  V2MetricSpec,
  V2MetricStatus,
  V2MetricTarget,
  V2MetricValueStatus,
} from '../types.ts';

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
      spec.behavior.scaleUp = {
        stabilizationWindowSeconds: 0,
        selectPolicy: 'Max',
        policies: [
          { type: 'Pods', value: 4, periodSeconds: 15 },
          { type: 'Percent', value: 100, periodSeconds: 15 },
        ],
        ...spec.behavior.scaleUp,
      };
      spec.behavior.scaleDown = { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }], ...spec.behavior.scaleDown };
    }
    status.desiredReplicas ??= 0;
    status.currentMetrics ??= [];
  },
  prepareForCreate(autoscaler) {
    autoscaler.status = { desiredReplicas: 0, currentMetrics: [] };
  },
  validate: ({ spec }) => validateSpec('spec', spec),
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

const metricFields = { Resource: 'resource', ContainerResource: 'containerResource', Pods: 'pods', Object: 'object', External: 'external' } as const;

function validateSpec(field: string, spec: V2HorizontalPodAutoscalerSpec): FieldError[] {
  const errors: FieldError[] = [];
  if ((spec.minReplicas ?? 1) < 1) errors.push(invalidValue(`${field}.minReplicas`, spec.minReplicas, 'must be greater than or equal to 1'));
  if (spec.maxReplicas < 1) errors.push(invalidValue(`${field}.maxReplicas`, spec.maxReplicas, 'must be greater than 0'));
  else if (spec.maxReplicas < (spec.minReplicas ?? 1))
    errors.push(invalidValue(`${field}.maxReplicas`, spec.maxReplicas, 'must be greater than or equal to `minReplicas`'));
  const target = spec.scaleTargetRef;
  for (const part of ['kind', 'name'] as const) {
    const path = `${field}.scaleTargetRef.${part}`;
    errors.push(...(target[part] === '' ? [required(path)] : messages(path, target[part], pathSegmentErrors(target[part]))));
  }
  for (const [index, metric] of (spec.metrics ?? []).entries()) errors.push(...validateMetric(at(`${field}.metrics`, index), metric));
  errors.push(
    ...validateRules(`${field}.behavior.scaleUp`, spec.behavior?.scaleUp),
    ...validateRules(`${field}.behavior.scaleDown`, spec.behavior?.scaleDown),
  );
  return errors;
}

function validateMetric(field: string, metric: V2MetricSpec): FieldError[] {
  const wrong = requiredOneOf(
    `${field}.type`,
    metric.type,
    ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'],
    'must specify a metric source type',
  );
  if (wrong.length > 0) return wrong;
  const name = metricFields[metric.type as keyof typeof metricFields];
  const source = metric[name];
  if (source === undefined) return [required(`${field}.${name}`, 'must populate information for the given metric source')];
  const errors: FieldError[] = [];
  const path = `${field}.${name}`;
  if ('name' in source && source.name === '') errors.push(required(`${path}.name`, 'must specify a resource name'));
  if ('metric' in source && source.metric.name === '') errors.push(required(`${path}.metric.name`, 'must specify a metric name'));
  const { target } = source;
  errors.push(
    ...requiredOneOf(`${path}.target.type`, target.type, ['AverageValue', 'Utilization', 'Value'], 'must specify a metric target type'),
    ...positive(`${path}.target.averageUtilization`, target.averageUtilization),
  );
  if (name === 'resource' && target.averageUtilization === undefined && target.averageValue === undefined) {
    errors.push(required(`${path}.target.averageUtilization`, 'must set either a target raw value or a target utilization'));
  }
  return errors;
}

function validateRules(field: string, rules: V2HPAScalingRules | undefined): FieldError[] {
  if (rules === undefined) return [];
  const errors = [
    ...inRange(`${field}.stabilizationWindowSeconds`, rules.stabilizationWindowSeconds, 0, 3600),
    ...oneOf(`${field}.selectPolicy`, rules.selectPolicy, ['Disabled', 'Max', 'Min']),
  ];
  if ((rules.policies ?? []).length === 0) errors.push(required(`${field}.policies`, 'must specify at least one Policy'));
  for (const [index, policy] of (rules.policies ?? []).entries()) {
    const path = at(`${field}.policies`, index);
    errors.push(
      ...requiredOneOf(`${path}.type`, policy.type, ['Percent', 'Pods']),
      ...positive(`${path}.value`, policy.value),
      ...positive(`${path}.periodSeconds`, policy.periodSeconds),
      ...(policy.periodSeconds > 1800 ? [invalidValue(`${path}.periodSeconds`, policy.periodSeconds, 'must be less than or equal to 1800')] : []),
    );
  }
  return errors;
}
