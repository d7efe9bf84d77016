/**
 * What autoscaling/v1 has no fields for: it keeps metrics but cpu, behavior, conditions and current metrics as JSON in annotations, metrics in shapes of its
 * own. Follows the conversions of `pkg/apis/autoscaling/v1`. An annotation that cannot be read is one that says nothing.
 */
import { decodeObject } from '../../machinery/decode.ts';
import { schemaOf } from '../schemas.ts';
import type {
  V2HorizontalPodAutoscalerBehavior,
  V2HorizontalPodAutoscalerCondition,
  V2MetricSpec,
  V2MetricStatus,
  V2MetricTarget,
  V2MetricValueStatus,
} from '../types.ts';

export const annotationNames = {
  metrics: 'autoscaling.alpha.kubernetes.io/metrics',
  behavior: 'autoscaling.alpha.kubernetes.io/behavior',
  conditions: 'autoscaling.alpha.kubernetes.io/conditions',
  currentMetrics: 'autoscaling.alpha.kubernetes.io/current-metrics',
} as const;

type Fields = Readonly<Record<string, unknown>>;

/** What is there of the fields, without those that are not. */
function present(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export function metricsText(metrics: readonly V2MetricSpec[]): string {
  return JSON.stringify(metrics.map(specToV1));
}

function specToV1({ type, resource, containerResource, pods, object, external }: V2MetricSpec): Fields {
  const use = ({ averageUtilization, averageValue }: V2MetricTarget): Fields =>
    present({ targetAverageUtilization: averageUtilization, targetAverageValue: averageValue });
  return present({
    type,
    resource: resource && { name: resource.name, ...use(resource.target) },
    containerResource: containerResource && {
      name: containerResource.name,
      ...use(containerResource.target),
      container: containerResource.container,
    },
    pods: pods && present({ metricName: pods.metric.name, targetAverageValue: pods.target.averageValue, selector: pods.metric.selector }),
    object:
      object &&
      present({
        target: object.describedObject,
        metricName: object.metric.name,
        targetValue: object.target.value ?? '0',
        selector: object.metric.selector,
        averageValue: object.target.averageValue,
      }),
    external:
      external &&
      present({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        targetValue: external.target.value,
        targetAverageValue: external.target.averageValue,
      }),
  });
}

export function metricsOf(text: string): V2MetricSpec[] {
  return listOf(text, specFromV1, 'V2MetricSpec') as V2MetricSpec[];
}

function specFromV1(spec: Fields): Fields {
  const use = ({ targetAverageUtilization: share, targetAverageValue: amount }: Fields): Fields =>
    present({ type: share === undefined ? 'AverageValue' : 'Utilization', averageUtilization: share, averageValue: amount });
  const { type } = spec;
  const [resource, container, pods, object, external] = ['resource', 'containerResource', 'pods', 'object', 'external'].map((name) =>
    fieldsOf(spec[name]),
  );
  return present({
    type,
    resource: resource && { name: resource['name'], target: use(resource) },
    containerResource: container && { name: container['name'], container: container['container'], target: use(container) },
    pods: pods && { metric: identifier(pods['metricName'], pods['selector']), target: target(undefined, pods['targetAverageValue']) },
    object: object && {
      describedObject: object['target'],
      metric: identifier(object['metricName'], object['selector']),
      // With an average the value is there only because v1 always has one.
      target: object['averageValue'] === undefined ? target(object['targetValue'], undefined) : target(undefined, object['averageValue']),
    },
    external: external && {
      metric: identifier(external['metricName'], external['metricSelector']),
      target: target(external['targetValue'], external['targetAverageValue']),
    },
  });
}

function identifier(name: unknown, selector: unknown): Fields {
  return present({ name, selector: selector === null ? undefined : selector });
}

function target(value: unknown, averageValue: unknown): Fields {
  return present({ type: averageValue === undefined ? 'Value' : 'AverageValue', value, averageValue });
}

export function currentMetricsText(metrics: readonly V2MetricStatus[]): string {
  return JSON.stringify(metrics.map(statusToV1));
}

function statusToV1({ type, resource, containerResource, pods, object, external }: V2MetricStatus): Fields {
  const use = ({ averageUtilization, averageValue = '0' }: V2MetricValueStatus): Fields =>
    present({ currentAverageUtilization: averageUtilization, currentAverageValue: averageValue });
  return present({
    type,
    resource: resource && { name: resource.name, ...use(resource.current) },
    containerResource: containerResource && {
      name: containerResource.name,
      ...use(containerResource.current),
      container: containerResource.container,
    },
    pods: pods && present({ metricName: pods.metric.name, currentAverageValue: pods.current.averageValue ?? '0', selector: pods.metric.selector }),
    object:
      object &&
      present({
        target: object.describedObject,
        metricName: object.metric.name,
        currentValue: object.current.value ?? '0',
        selector: object.metric.selector,
        averageValue: object.current.averageValue,
      }),
    external:
      external &&
      present({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        currentValue: external.current.value ?? '0',
        currentAverageValue: external.current.averageValue,
      }),
  });
}

export function currentMetricsOf(text: string): V2MetricStatus[] {
  return listOf(text, statusFromV1, 'V2MetricStatus') as V2MetricStatus[];
}

function statusFromV1(status: Fields): Fields {
  const use = ({ currentAverageUtilization: share, currentAverageValue: amount }: Fields): Fields =>
    present({ averageUtilization: share, averageValue: amount });
  const [resource, container, pods, object, external] = ['resource', 'containerResource', 'pods', 'object', 'external'].map((name) =>
    fieldsOf(status[name]),
  );
  return present({
    type: status['type'],
    resource: resource && { name: resource['name'], current: use(resource) },
    containerResource: container && { name: container['name'], container: container['container'], current: use(container) },
    pods: pods && { metric: identifier(pods['metricName'], pods['selector']), current: present({ averageValue: pods['currentAverageValue'] }) },
    object: object && {
      describedObject: object['target'],
      metric: identifier(object['metricName'], object['selector']),
      current: present({ value: object['currentValue'], averageValue: object['averageValue'] }),
    },
    external: external && {
      metric: identifier(external['metricName'], external['metricSelector']),
      current: present({ value: external['currentValue'], averageValue: external['currentAverageValue'] }),
    },
  });
}

export function behaviorOf(text: string): V2HorizontalPodAutoscalerBehavior | undefined {
  return checked(parsed(text), 'V2HorizontalPodAutoscalerBehavior');
}

export function conditionsOf(text: string): V2HorizontalPodAutoscalerCondition[] {
  return listOf(text, (condition) => condition, 'V2HorizontalPodAutoscalerCondition') as V2HorizontalPodAutoscalerCondition[];
}

/** The items of a JSON list as objects of the model; none if any of them is not. */
function listOf(text: string, convert: (item: Fields) => Fields, model: string): object[] {
  const list = parsed(text);
  if (!Array.isArray(list)) return [];
  const items = (list as unknown[]).map((item) => {
    const fields = fieldsOf(item);
    return fields && checked(convert(fields), model);
  });
  const good = items.filter((item) => item !== undefined);
  return good.length === items.length ? good : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** A copy with the model's fields only, of the right types; undefined for anything else. */
function checked(value: unknown, model: string): object | undefined {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const { object, typeErrors } = decodeObject(fields, schemaOf(model));
  return typeErrors.length === 0 ? object : undefined;
}
