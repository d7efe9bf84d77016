/**
 * Reads what autoscalers go by from the three metrics APIs: `metrics.k8s.io` (resources of pods), `custom.metrics.k8s.io` (anything of pods or objects) and
 * `external.metrics.k8s.io` (what is no object). Whoever serves them registered an APIService.
 */
import type { V2MetricIdentifier } from '../../api/types.ts';
import type { Transport } from '../../client/transport.ts';
import { DurationError, parseDuration } from '../../machinery/duration.ts';
import { isReason } from '../../machinery/errors.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { selectorOf, type Selector } from '../../machinery/selector.ts';
import { messageOf } from '../errors.ts';
import type { PodSample, PodSamples } from './pod-metrics.ts';

interface PodMetricsList {
  readonly items?: readonly {
    readonly metadata: { readonly name: string };
    readonly timestamp: string;
    readonly window: string;
    readonly containers: readonly { readonly name: string; readonly usage: Readonly<Record<string, string>> }[];
  }[];
}

interface MetricValueList {
  readonly items?: readonly {
    readonly describedObject?: { readonly name: string };
    readonly timestamp?: string;
    readonly windowSeconds?: number;
    readonly value: string;
  }[];
}

/** An object a metric describes, as its path in the custom metrics API: `deployments.apps`, `web`. */
export interface DescribedObject {
  /** Undefined for a kind that has no namespace. */
  readonly namespace: string | undefined;
  readonly resource: string;
  readonly name: string;
}

const defaultWindowMs = 60_000;

/** What the pods' containers (or the one named) use of a resource, in thousandths. Rejects when nothing is known of any. */
export async function podResources(
  transport: Transport,
  namespace: string,
  selector: Selector,
  resource: string,
  container?: string,
): Promise<PodSamples> {
  const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods`;
  const { items = [] } = (await read(transport, 'resource', 'pods.metrics.k8s.io', path, { labelSelector: selector.toString() })) as PodMetricsList;
  if (items.length === 0) throw new Error('no metrics returned from resource metrics API');
  const samples = new Map<string, PodSample>();
  for (const { metadata, timestamp, window, containers } of items) {
    const counted = container === undefined ? containers : containers.filter(({ name }) => name === container);
    const usages = counted.map(({ usage }) => usage[resource]);
    const known = usages.filter((usage) => usage !== undefined);
    // A pod of which a part is not known is not known.
    if (known.length < usages.length || (container !== undefined && counted.length === 0)) continue;
    samples.set(metadata.name, {
      value: known.reduce((sum, usage) => sum + parseQuantity(usage).milliValue(), 0),
      timestampMs: Date.parse(timestamp),
      windowMs: windowMs(window),
    });
  }
  return samples;
}

/** A custom metric of each pod, in thousandths. */
export async function podsMetric(transport: Transport, namespace: string, selector: Selector, metric: V2MetricIdentifier): Promise<PodSamples> {
  const path = `/apis/custom.metrics.k8s.io/v1beta2/namespaces/${namespace}/pods/*/${encodeURIComponent(metric.name)}`;
  const query = { labelSelector: selector.toString(), ...metricSelector('metricLabelSelector', metric) };
  const { items = [] } = (await read(transport, 'custom', `pods.custom.metrics.k8s.io ${metric.name}`, path, query)) as MetricValueList;
  if (items.length === 0) throw new Error('no metrics returned from custom metrics API');
  return new Map(
    items.map(({ describedObject, timestamp, windowSeconds, value }) => [
      describedObject?.name ?? '',
      {
        value: parseQuantity(value).milliValue(),
        timestampMs: timestamp === undefined ? 0 : Date.parse(timestamp),
        windowMs: windowSeconds === undefined ? defaultWindowMs : windowSeconds * 1000,
      },
    ]),
  );
}

/** A custom metric of one object, in thousandths. */
export async function objectMetric(transport: Transport, object: DescribedObject, metric: V2MetricIdentifier): Promise<number> {
  const root = '/apis/custom.metrics.k8s.io/v1beta2';
  const [name, metricName] = [encodeURIComponent(object.name), encodeURIComponent(metric.name)];
  let path = `${root}/${object.resource}/${name}/${metricName}`;
  if (object.resource === 'namespaces') path = `${root}/namespaces/${name}/metrics/${metricName}`;
  else if (object.namespace !== undefined) path = `${root}/namespaces/${object.namespace}/${object.resource}/${name}/${metricName}`;
  const query = metricSelector('metricLabelSelector', metric);
  const { items = [] } = (await read(transport, 'custom', `${object.resource}.custom.metrics.k8s.io ${object.name}`, path, query)) as MetricValueList;
  const [first] = items;
  if (first === undefined) throw new Error('no metrics returned from custom metrics API');
  return parseQuantity(first.value).milliValue();
}

/** All values of an external metric together, in thousandths. */
export async function externalMetric(transport: Transport, namespace: string, metric: V2MetricIdentifier): Promise<number> {
  const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${encodeURIComponent(metric.name)}`;
  const { items = [] } = (await read(
    transport,
    'external',
    `${metric.name}.external.metrics.k8s.io`,
    path,
    metricSelector('labelSelector', metric),
  )) as MetricValueList;
  if (items.length === 0) throw new Error('no metrics returned from external metrics API');
  return items.reduce((sum, { value }) => sum + parseQuantity(value).milliValue(), 0);
}

function metricSelector(parameter: string, { selector }: V2MetricIdentifier): Readonly<Record<string, string>> {
  return selector === undefined ? {} : { [parameter]: selectorOf(selector).toString() };
}

async function read(transport: Transport, api: string, what: string, path: string, query: Readonly<Record<string, string>>): Promise<unknown> {
  try {
    return await transport.request({ method: 'GET', path, query });
  } catch (error) {
    // Nobody serves the API, as a Go client says it.
    const detail = isReason(error, 'NotFound') && error.details?.name === undefined ? ` (get ${what})` : '';
    throw new Error(`unable to fetch metrics from ${api} metrics API: ${messageOf(error)}${detail}`, { cause: error });
  }
}

function windowMs(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    if (error instanceof DurationError) return defaultWindowMs;
    throw error;
  }
}
