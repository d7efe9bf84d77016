/**
 * Decides how many replicas an autoscaler's target should have: a pure function of its metrics, pods and recent past. Each metric proposes a count,
 * the highest wins, and the rules of behaviour say how much of it may happen now. Upstream's `pkg/controller/podautoscaler`.
 */
import type { HorizontalPodAutoscaler, Pod } from '../../api/kinds.ts';
import type {
  V2HorizontalPodAutoscalerCondition,
  V2HorizontalPodAutoscalerStatus,
  V2MetricSpec,
  V2MetricStatus,
  V2MetricTarget,
  V2MetricValueStatus,
} from '../../api/types.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { timestamp } from '../../world/world.ts';
import type { AutoscalerTiming } from '../controller.ts';
import { messageOf } from '../errors.ts';
import {
  isWithin,
  type PodMetricQuestion,
  type PodSamples,
  readyPodCount,
  replicasForAverage,
  replicasForUtilization,
  requestsOf,
  roundUp,
  type Tolerance,
} from './pod-metrics.ts';
import { type History, limitScaling } from './scaling-rules.ts';

/** What was read for one metric: figures of pods, one value in thousandths, or why there is none. */
export type Reading =
  | { readonly of: 'pods'; readonly samples: PodSamples }
  | { readonly of: 'value'; readonly value: number }
  | { readonly of: 'nothing'; readonly error: unknown };

export interface AutoscalerSnapshot {
  readonly autoscaler: HorizontalPodAutoscaler;
  /** `spec.replicas` of the target's scale. */
  readonly specReplicas: number;
  /** `status.replicas` of the target's scale. */
  readonly statusReplicas: number;
  /** The target's pods. */
  readonly pods: readonly Pod[];
  /** One for each of the autoscaler's metrics. */
  readonly readings: readonly Reading[];
  readonly history: History;
  readonly timing: AutoscalerTiming;
  readonly nowMs: number;
}

export interface AutoscalerDecision {
  readonly desiredReplicas: number;
  /** Why the scale is to be written; undefined when it stays. */
  readonly rescaleReason: string | undefined;
  readonly status: V2HorizontalPodAutoscalerStatus;
  readonly history: History;
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
  /** No metric could be used; the workload stays as it is. */
  readonly failure: string | undefined;
}

interface MetricProposal {
  readonly replicas: number;
  /** For people: `cpu resource utilization (percentage of request)`. */
  readonly name: string;
  readonly status: V2MetricStatus;
}

export function decide(snapshot: AutoscalerSnapshot): AutoscalerDecision {
  const { autoscaler, specReplicas, statusReplicas, history, nowMs } = snapshot;
  const { minReplicas = 1, maxReplicas, behavior } = autoscaler.spec;
  const conditions = new Conditions(autoscaler.status.conditions, timestamp(nowMs));
  conditions.set('AbleToScale', 'True', 'SucceededGetScale', "the HPA controller was able to get the target's current scale");

  const finish = (
    desiredReplicas: number,
    rescaleReason: string | undefined,
    rest: Partial<AutoscalerDecision & { metrics: V2MetricStatus[] }> = {},
  ): AutoscalerDecision => ({
    desiredReplicas,
    rescaleReason: desiredReplicas === specReplicas ? undefined : rescaleReason,
    status: {
      currentReplicas: statusReplicas,
      desiredReplicas,
      ...(rest.metrics && rest.metrics.length > 0 ? { currentMetrics: rest.metrics } : {}),
      ...(autoscaler.status.lastScaleTime !== undefined && { lastScaleTime: autoscaler.status.lastScaleTime }),
      conditions: conditions.list,
    },
    history: rest.history ?? history,
    warnings: rest.warnings ?? [],
    failure: rest.failure,
  });

  if (specReplicas === 0 && minReplicas !== 0) {
    conditions.set('ScalingActive', 'False', 'ScalingDisabled', 'scaling is disabled since the replica count of the target is zero');
    return finish(0, undefined);
  }
  if (specReplicas > maxReplicas) return finish(maxReplicas, 'Current number of replicas above Spec.MaxReplicas');
  if (specReplicas < minReplicas) return finish(minReplicas, 'Current number of replicas below Spec.MinReplicas');

  const { best, metrics, warnings, firstFailure, failures } = proposals(snapshot);
  if (!best || (firstFailure && best.replicas < specReplicas)) {
    // A metric that cannot be read might have asked for more: it stops a workload from shrinking, not from growing.
    const why = firstFailure ?? { reason: 'InvalidMetricSourceType', message: 'no metrics', whole: 'no metrics' };
    conditions.set('ScalingActive', 'False', why.reason, `the HPA was unable to compute the replica count: ${why.message}`);
    const failure = `invalid metrics (${failures} invalid out of ${snapshot.readings.length}), first error is: ${why.whole}`;
    return finish(specReplicas, undefined, {
      metrics,
      failure,
      warnings: [...warnings, { reason: 'FailedComputeMetricsReplicas', message: failure }],
    });
  }
  conditions.set('ScalingActive', 'True', 'ValidMetricFound', `the HPA was able to successfully calculate a replica count from ${best.name}`);

  const limited = limitScaling(
    {
      currentReplicas: specReplicas,
      desiredReplicas: best.replicas,
      minReplicas,
      maxReplicas,
      behavior,
      downscaleStabilizationMs: snapshot.timing.downscaleStabilizationMs,
      nowMs,
    },
    history,
  );
  conditions.set('AbleToScale', 'True', limited.able.reason, limited.able.message);
  // Rules that hold something back say so even when only the bounds do.
  conditions.set('ScalingLimited', limited.limited ? 'True' : 'False', limited.limit.reason, limited.limit.message);
  const reason = best.replicas > specReplicas ? `${best.name} above target` : 'All metrics below target';
  return finish(limited.replicas, reason, { metrics, warnings, history: limited.history });
}

interface Failure {
  readonly reason: string;
  readonly message: string;
  /** With what was being read before it. */
  readonly whole: string;
}

function proposals(snapshot: AutoscalerSnapshot): {
  best: MetricProposal | undefined;
  metrics: V2MetricStatus[];
  warnings: { reason: string; message: string }[];
  firstFailure: Failure | undefined;
  failures: number;
} {
  let best: MetricProposal | undefined;
  let firstFailure: Failure | undefined;
  const metrics: V2MetricStatus[] = [];
  const failures: Failure[] = [];
  for (const [index, metric] of (snapshot.autoscaler.spec.metrics ?? []).entries()) {
    const reading = snapshot.readings[index];
    try {
      if (reading === undefined) throw new Error('the metric was not read');
      if (reading.of === 'nothing') throw reading.error;
      const proposal = propose(metric, reading, snapshot);
      metrics.push(proposal.status);
      if (best === undefined || proposal.replicas > best.replicas) best = proposal;
    } catch (error) {
      const failure = describeFailure(metric, messageOf(error));
      firstFailure ??= failure;
      failures.push(failure);
    }
  }
  return { best, metrics, warnings: failures.map(({ reason, message }) => ({ reason, message })), firstFailure, failures: failures.length };
}

function describeFailure({ type, resource, containerResource, object, external }: V2MetricSpec, error: string): Failure {
  const failure = (reason: string, message: string, prefix: string): Failure => ({ reason, message, whole: `${prefix}: ${message}` });
  switch (type) {
    case 'Resource': {
      const what = resource?.target.averageValue === undefined ? 'utilization' : 'usage';
      return failure(
        'FailedGetResourceMetric',
        `failed to get ${resource?.name} ${what}: ${error}`,
        `failed to get ${resource?.name} resource metric value`,
      );
    }
    case 'ContainerResource': {
      const what = containerResource?.target.averageValue === undefined ? 'utilization' : 'usage';
      return failure(
        'FailedGetContainerResourceMetric',
        `failed to get ${containerResource?.name} ${what}: ${error}`,
        `failed to get ${containerResource?.name} container metric value`,
      );
    }
    case 'Pods':
      return failure('FailedGetPodsMetric', `failed to get pods metric: ${error}`, 'failed to get pods metric value');
    case 'Object':
      return failure('FailedGetObjectMetric', `failed to get object metric ${object?.metric.name}: ${error}`, 'failed to get object metric value');
    case 'External':
      return failure(
        'FailedGetExternalMetric',
        `failed to get external metric ${external?.metric.name}: ${error}`,
        `failed to get ${external?.metric.name} external metric value`,
      );
    default:
      return failure('InvalidMetricSourceType', `unknown metric source type "${type}"`, 'invalid metric source type');
  }
}

function propose(metric: V2MetricSpec, reading: Exclude<Reading, { of: 'nothing' }>, snapshot: AutoscalerSnapshot): MetricProposal {
  const { resource, containerResource, pods, object, external } = metric;
  if (metric.type === 'Resource' && resource) {
    const { replicas, name, current } = fromResource(resource.name, resource.target, reading, snapshot);
    return { replicas, name: `${resource.name} resource${name}`, status: { type: 'Resource', resource: { name: resource.name, current } } };
  }
  if (metric.type === 'ContainerResource' && containerResource) {
    const { name: resourceName, container, target } = containerResource;
    const { replicas, name, current } = fromResource(resourceName, target, reading, snapshot, container);
    return {
      replicas,
      name: `${resourceName} container resource${name}`,
      status: { type: 'ContainerResource', containerResource: { name: resourceName, container, current } },
    };
  }
  if (metric.type === 'Pods' && pods) {
    const answer = replicasForAverage(podQuestion(undefined, reading, snapshot), milli(pods.target.averageValue));
    return {
      replicas: answer.replicas,
      name: `pods metric ${pods.metric.name}`,
      status: { type: 'Pods', pods: { metric: pods.metric, current: { averageValue: quantity(answer.averageValue) } } },
    };
  }
  if (metric.type === 'Object' && object) {
    const { replicas, current } = fromValue(object.target, reading, snapshot);
    return {
      replicas,
      name: `${object.describedObject.kind} metric ${object.metric.name}`,
      status: { type: 'Object', object: { metric: object.metric, describedObject: object.describedObject, current } },
    };
  }
  if (metric.type === 'External' && external) {
    const { replicas, current } = fromValue(external.target, reading, snapshot);
    return {
      replicas,
      name: `external metric ${external.metric.name}`,
      status: { type: 'External', external: { metric: external.metric, current } },
    };
  }
  throw new Error(`unknown metric source type "${metric.type}"`);
}

function fromResource(
  resource: string,
  target: V2MetricTarget,
  reading: Reading,
  snapshot: AutoscalerSnapshot,
  container?: string,
): { replicas: number; name: string; current: V2MetricValueStatus } {
  const question = podQuestion(resource, reading, snapshot);
  if (target.averageUtilization === undefined) {
    const { replicas, averageValue } = replicasForAverage(question, milli(target.averageValue));
    return { replicas, name: '', current: { averageValue: quantity(averageValue) } };
  }
  const { replicas, averageUtilization, averageValue } = replicasForUtilization(
    question,
    target.averageUtilization,
    requestsOf(snapshot.pods, resource, container),
  );
  return {
    replicas,
    name: ' utilization (percentage of request)',
    current: { averageValue: quantity(averageValue), ...(averageUtilization !== undefined && { averageUtilization }) },
  };
}

/** A metric of no pod in particular: a value for all, or shared out among the pods. */
function fromValue(target: V2MetricTarget, reading: Reading, snapshot: AutoscalerSnapshot): { replicas: number; current: V2MetricValueStatus } {
  if (reading.of !== 'value') throw new Error('the metric has no single value');
  const { specReplicas, statusReplicas, pods } = snapshot;
  const tolerance = toleranceOf(snapshot);
  if (target.averageValue !== undefined) {
    const perPod = milli(target.averageValue);
    const ratio = reading.value / (perPod * statusReplicas);
    return {
      replicas: isWithin(ratio, tolerance) ? statusReplicas : roundUp(reading.value / perPod),
      current: { averageValue: quantity(statusReplicas === 0 ? 0 : Math.ceil(reading.value / statusReplicas)) },
    };
  }
  const ratio = reading.value / milli(target.value);
  const current = { value: quantity(reading.value) };
  if (specReplicas === 0) return { replicas: roundUp(ratio), current };
  return { replicas: isWithin(ratio, tolerance) ? specReplicas : roundUp(ratio * readyPodCount(pods)), current };
}

function podQuestion(resource: string | undefined, reading: Reading, snapshot: AutoscalerSnapshot): PodMetricQuestion {
  if (reading.of !== 'pods') throw new Error('the metric has no figures of pods');
  const { specReplicas, pods, timing, nowMs } = snapshot;
  return { currentReplicas: specReplicas, pods, samples: reading.samples, resource, tolerance: toleranceOf(snapshot), timing, nowMs };
}

function toleranceOf({ autoscaler: { spec }, timing }: AutoscalerSnapshot): Tolerance {
  const of = (text: string | undefined): number => (text === undefined ? timing.tolerance : parseQuantity(text).toNumber());
  return { up: of(spec.behavior?.scaleUp?.tolerance), down: of(spec.behavior?.scaleDown?.tolerance) };
}

function milli(text: string | undefined): number {
  return text === undefined ? 0 : parseQuantity(text).milliValue();
}

function quantity(thousandths: number): string {
  return Quantity.ofMilli(thousandths).toString();
}

/** An autoscaler's conditions: words change with every look, times only with the status. */
export class Conditions {
  readonly list: V2HorizontalPodAutoscalerCondition[];
  readonly #now: string;

  constructor(conditions: readonly V2HorizontalPodAutoscalerCondition[] | undefined, now: string) {
    this.list = [...(conditions ?? [])];
    this.#now = now;
  }

  set(type: string, status: 'True' | 'False', reason: string, message: string): void {
    const index = this.list.findIndex((condition) => condition.type === type);
    const old = this.list[index];
    const since = old?.status === status ? (old.lastTransitionTime ?? this.#now) : this.#now;
    const next = { type, status, lastTransitionTime: since, reason, message };
    if (old === undefined) this.list.push(next);
    else this.list[index] = next;
  }
}
