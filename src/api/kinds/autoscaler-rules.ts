/** Rules for HorizontalPodAutoscalers. Follows `pkg/apis/autoscaling/validation`. */
import { own } from '../../machinery/own.ts';
import { at, forbiddenField, invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsSubdomainErrors, pathSegmentErrors } from '../../machinery/names.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { labelSelector, nonNegativeAmount, oneOf, optionalName, requiredName } from '../field-checks.ts';
import type {
  V2CrossVersionObjectReference,
  V2HorizontalPodAutoscalerSpec,
  V2HPAScalingRules,
  V2MetricIdentifier,
  V2MetricSpec,
  V2MetricTarget,
} from '../types.ts';

const maxWindowSeconds = 3600;
const maxPeriodSeconds = 1800;

export function validateAutoscaler(field: string, spec: V2HorizontalPodAutoscalerSpec): FieldError[] {
  const { minReplicas, maxReplicas, scaleTargetRef, metrics = [], behavior } = spec;
  const errors: FieldError[] = [];
  if (minReplicas !== undefined && minReplicas < 1)
    errors.push(invalidValue(`${field}.minReplicas`, minReplicas, 'must be greater than or equal to 1'));
  if (maxReplicas < 1) errors.push(invalidValue(`${field}.maxReplicas`, maxReplicas, 'must be greater than 0'));
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    errors.push(invalidValue(`${field}.maxReplicas`, maxReplicas, 'must be greater than or equal to `minReplicas`'));
  return [
    ...errors,
    ...validateReference(`${field}.scaleTargetRef`, scaleTargetRef),
    ...metrics.flatMap((metric, index) => validateMetric(at(`${field}.metrics`, index), metric)),
    ...validateRules(`${field}.behavior.scaleUp`, behavior?.scaleUp),
    ...validateRules(`${field}.behavior.scaleDown`, behavior?.scaleDown),
  ];
}

function validateReference(field: string, reference: V2CrossVersionObjectReference | undefined): FieldError[] {
  const { kind = '', name = '', apiVersion = '' } = reference ?? {};
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return [
    ...requiredName(`${field}.kind`, kind, pathSegmentErrors),
    ...requiredName(`${field}.name`, name, pathSegmentErrors),
    ...optionalName(`${field}.apiVersion`, group, dnsSubdomainErrors),
  ];
}

/** Which field describes a metric, by its type. */
const metricFields = { ContainerResource: 'containerResource', External: 'external', Object: 'object', Pods: 'pods', Resource: 'resource' } as const;

function validateMetric(field: string, metric: V2MetricSpec): FieldError[] {
  const { type } = metric;
  if (type === '') return [required(`${field}.type`, 'must specify a metric source type')];
  if (!isMetricType(type)) return [notSupported(`${field}.type`, type, Object.keys(metricFields))];
  const expected = metricFields[type];
  const present = Object.values(metricFields).filter((name) => metric[name] !== undefined);
  const errors = present
    .filter((name) => name !== expected && present.length > 1)
    .map((name) => forbiddenField(`${field}.${name}`, 'must populate the given metric source only'));
  if (!present.includes(expected)) return [...errors, required(`${field}.${expected}`, 'must populate information for the given metric source')];
  return [...errors, ...validateSource(field, metric)];
}

function isMetricType(type: string): type is keyof typeof metricFields {
  return own(metricFields, type) !== undefined;
}

function validateSource(field: string, { resource, containerResource, pods, object, external }: V2MetricSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (resource !== undefined) errors.push(...validateUse(`${field}.resource`, resource.name, resource.target));
  if (containerResource !== undefined) {
    const path = `${field}.containerResource`;
    errors.push(...validateUse(path, containerResource.name, containerResource.target));
    if (containerResource.container === '') errors.push(required(`${path}.container`, 'must specify a container'));
  }
  if (pods !== undefined) {
    const path = `${field}.pods`;
    errors.push(...validateIdentifier(`${path}.metric`, pods.metric), ...validateTarget(`${path}.target`, pods.target));
    if (pods.target?.averageValue === undefined || !isPositive(pods.target.averageValue))
      errors.push(required(`${path}.target.averageValue`, 'must specify a positive target averageValue'));
  }
  if (object !== undefined) {
    const path = `${field}.object`;
    errors.push(...validateReference(`${path}.describedObject`, object.describedObject));
    errors.push(...validateIdentifier(`${path}.metric`, object.metric), ...validateEither(`${path}.target`, object.target));
  }
  if (external !== undefined) {
    const path = `${field}.external`;
    errors.push(...validateIdentifier(`${path}.metric`, external.metric), ...validateEither(`${path}.target`, external.target));
  }
  return errors;
}

function isPositive(amount: string): boolean {
  return parseQuantity(amount).sign() > 0 && !parseQuantity(amount).isZero();
}

/** Use of a resource: as a share of what was asked for, or an amount for each pod. */
function validateUse(field: string, name: string, target: V2MetricTarget | undefined): FieldError[] {
  const errors = [...(name === '' ? [required(`${field}.name`, 'must specify a resource name')] : []), ...validateTarget(`${field}.target`, target)];
  const [share, amount] = [target?.averageUtilization, target?.averageValue];
  if (share === undefined && amount === undefined)
    errors.push(required(`${field}.target.averageUtilization`, 'must set either a target raw value or a target utilization'));
  if (share !== undefined && amount !== undefined)
    errors.push(forbiddenField(`${field}.target.averageValue`, 'may not set both a target raw value and a target utilization'));
  return errors;
}

/** A value for all, or one for each pod. */
function validateEither(field: string, target: V2MetricTarget | undefined): FieldError[] {
  const errors = validateTarget(field, target);
  const [whole, each] = [target?.value, target?.averageValue];
  if (whole === undefined && each === undefined)
    errors.push(required(`${field}.averageValue`, 'must set either a target value for metric or a per-pod target'));
  if (whole !== undefined && each !== undefined)
    errors.push(forbiddenField(`${field}.value`, 'may not set both a target value for metric and a per-pod target'));
  return errors;
}

function validateTarget(field: string, target: V2MetricTarget | undefined): FieldError[] {
  const { type = '', value, averageValue, averageUtilization: share } = target ?? {};
  const errors: FieldError[] = [];
  if (type === '') errors.push(required(`${field}.type`, 'must specify a metric target type'));
  else if (!['Utilization', 'Value', 'AverageValue'].includes(type))
    errors.push(invalidValue(`${field}.type`, type, 'must be either Utilization, Value, or AverageValue'));
  for (const [name, amount] of Object.entries({ value, averageValue }))
    if (amount !== undefined && !isPositive(amount)) errors.push(invalidValue(`${field}.${name}`, amount, 'must be positive'));
  if (share !== undefined && share < 1) errors.push(invalidValue(`${field}.averageUtilization`, share, 'must be greater than 0'));
  return errors;
}

function validateIdentifier(field: string, metric: V2MetricIdentifier | undefined): FieldError[] {
  return [
    ...requiredName(`${field}.name`, metric?.name, pathSegmentErrors, 'must specify a metric name'),
    ...labelSelector(`${field}.selector`, metric?.selector),
  ];
}

function validateRules(field: string, rules: V2HPAScalingRules | undefined): FieldError[] {
  if (rules === undefined) return [];
  const { stabilizationWindowSeconds: window = 0, policies = [] } = rules;
  const errors: FieldError[] = [];
  if (window < 0) errors.push(invalidValue(`${field}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero'));
  if (window > maxWindowSeconds)
    errors.push(invalidValue(`${field}.stabilizationWindowSeconds`, window, `must be less than or equal to ${maxWindowSeconds}`));
  errors.push(
    ...oneOf(`${field}.selectPolicy`, rules.selectPolicy, ['Disabled', 'Max', 'Min']),
    ...nonNegativeAmount(`${field}.tolerance`, rules.tolerance),
  );
  if (policies.length === 0) errors.push(required(`${field}.policies`, 'must specify at least one Policy'));
  for (const [index, { type, value, periodSeconds }] of policies.entries()) {
    const path = at(`${field}.policies`, index);
    if (type !== 'Percent' && type !== 'Pods') errors.push(notSupported(`${path}.type`, type, ['Percent', 'Pods']));
    if (value <= 0) errors.push(invalidValue(`${path}.value`, value, 'must be greater than zero'));
    if (periodSeconds <= 0) errors.push(invalidValue(`${path}.periodSeconds`, periodSeconds, 'must be greater than zero'));
    if (periodSeconds > maxPeriodSeconds)
      errors.push(invalidValue(`${path}.periodSeconds`, periodSeconds, `must be less than or equal to ${maxPeriodSeconds}`));
  }
  return errors;
}
