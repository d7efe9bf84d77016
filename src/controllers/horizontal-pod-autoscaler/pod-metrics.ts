/**
 * How many replicas a metric that is measured on pods asks for: pure functions. Pods without a figure are assumed to use what argues against scaling, so that missing
 * data never makes a workload grow or shrink further than it must. Follows upstream's `pkg/controller/podautoscaler/replica_calculator.go`.
 */
import type { Pod } from '../../api/kinds.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import type { AutoscalerTiming } from '../controller.ts';
import { hasEnded, isReady, readyCondition } from '../pods.ts';

/** What one pod uses. `value` is in thousandths of the metric's unit. */
export interface PodSample {
  readonly value: number;
  readonly timestampMs: number;
  readonly windowMs: number;
}

export type PodSamples = ReadonlyMap<string, PodSample>;

/** How far a ratio of usage to target may be from 1 without a change. */
export interface Tolerance {
  readonly up: number;
  readonly down: number;
}

export type ReadinessTiming = Pick<AutoscalerTiming, 'cpuInitializationMs' | 'initialReadinessDelayMs'>;

export interface PodMetricQuestion {
  readonly currentReplicas: number;
  readonly pods: readonly Pod[];
  readonly samples: PodSamples;
  /** The resource's name; undefined for a metric that is none. */
  readonly resource: string | undefined;
  readonly tolerance: Tolerance;
  readonly timing: ReadinessTiming;
  readonly nowMs: number;
}

export interface PodMetricAnswer {
  readonly replicas: number;
  /** Percent of what was requested; only for a target in percent. */
  readonly averageUtilization?: number;
  /** Thousandths, over the pods that count. */
  readonly averageValue: number;
}

/** For a target in percent of what the pods request. Throws when there is nothing to go by. */
export function replicasForUtilization(question: PodMetricQuestion, target: number, requests: ReadonlyMap<string, number>): PodMetricAnswer {
  return replicas(question, {
    ratio(values) {
      let [total, requested, counted] = [0, 0, 0];
      for (const [name, value] of values) {
        const request = requests.get(name);
        if (request === undefined) continue;
        total += value;
        requested += request;
        counted++;
      }
      if (requested === 0) throw new Error('no metrics returned matched known pods');
      const averageUtilization = Math.trunc((total * 100) / requested);
      return { ratio: averageUtilization / target, averageUtilization, averageValue: Math.trunc(total / counted) };
    },
    atTarget: (name) => ((requests.get(name) ?? 0) * Math.max(100, target)) / 100,
  });
}

/** For a target in thousandths of the metric's unit per pod. Throws when there is nothing to go by. */
export function replicasForAverage(question: PodMetricQuestion, target: number): PodMetricAnswer {
  return replicas(question, {
    ratio(values) {
      let total = 0;
      for (const value of values.values()) total += value;
      const averageValue = Math.trunc(total / values.size);
      return { ratio: averageValue / target, averageValue };
    },
    atTarget: () => target,
  });
}

export function isWithin(ratio: number, { up, down }: Tolerance): boolean {
  return ratio >= 1 - down && ratio <= 1 + up;
}

/** What the pods' containers (or the one named) request of a resource, in thousandths. Throws when one does not say. */
export function requestsOf(pods: readonly Pod[], resource: string, container?: string): Map<string, number> {
  const requests = new Map<string, number>();
  for (const { metadata, spec } of pods) {
    const whole = container === undefined ? spec.resources?.requests?.[resource] : undefined;
    if (whole !== undefined) {
      requests.set(metadata.name, parseQuantity(whole).milliValue());
      continue;
    }
    const sideCars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
    let sum = 0;
    for (const { name, resources } of [...spec.containers, ...sideCars]) {
      if (container !== undefined && container !== name) continue;
      const request = resources?.requests?.[resource];
      if (request === undefined) throw new Error(`missing request for ${resource} in container ${name} of Pod ${metadata.name}`);
      sum += parseQuantity(request).milliValue();
    }
    requests.set(metadata.name, sum);
  }
  return requests;
}

interface Measure {
  ratio(values: ReadonlyMap<string, number>): { ratio: number; averageUtilization?: number; averageValue: number };
  /** What a pod without a figure is taken to use when the others ask for less. */
  atTarget(pod: string): number;
}

function replicas(question: PodMetricQuestion, measure: Measure): PodMetricAnswer {
  const { currentReplicas, pods, samples, tolerance } = question;
  if (pods.length === 0) throw new Error('no pods returned by selector while calculating replica count');
  const { readyCount, unready, missing, ignored } = groupPods(question);
  const values = new Map<string, number>();
  for (const [name, { value }] of samples) if (!unready.has(name) && !ignored.has(name)) values.set(name, value);
  if (values.size === 0) throw new Error('did not receive metrics for targeted pods (pods might be unready)');

  const measured = measure.ratio(values);
  const answer = (count: number): PodMetricAnswer => ({
    replicas: count,
    ...(measured.averageUtilization !== undefined && { averageUtilization: measured.averageUtilization }),
    averageValue: measured.averageValue,
  });
  const unreadyWouldHelp = unready.size > 0 && measured.ratio > 1;
  if (!unreadyWouldHelp && missing.size === 0) {
    return answer(isWithin(measured.ratio, tolerance) ? currentReplicas : roundUp(measured.ratio * readyCount));
  }

  if (measured.ratio < 1) for (const name of missing) values.set(name, measure.atTarget(name));
  else if (measured.ratio > 1) for (const name of missing) values.set(name, 0);
  if (unreadyWouldHelp) for (const name of unready) values.set(name, 0);
  const { ratio } = measure.ratio(values);
  const turned = (measured.ratio < 1 && ratio > 1) || (measured.ratio > 1 && ratio < 1);
  if (turned || isWithin(ratio, tolerance)) return answer(currentReplicas);
  const count = roundUp(ratio * values.size);
  const against = (ratio < 1 && count > currentReplicas) || (ratio > 1 && count < currentReplicas);
  return answer(against ? currentReplicas : count);
}

/** Up, but not for what only the arithmetic of fractions added: 1.1 × 10 is 11. */
export function roundUp(count: number): number {
  return Math.ceil(count - 1e-9);
}

interface PodGroups {
  readonly readyCount: number;
  readonly unready: ReadonlySet<string>;
  readonly missing: ReadonlySet<string>;
  readonly ignored: ReadonlySet<string>;
}

function groupPods({ pods, samples, resource, timing, nowMs }: PodMetricQuestion): PodGroups {
  const [unready, missing, ignored] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let readyCount = 0;
  for (const pod of pods) {
    const { name, deletionTimestamp } = pod.metadata;
    const sample = samples.get(name);
    if (deletionTimestamp !== undefined || pod.status.phase === 'Failed') ignored.add(name);
    else if (pod.status.phase === 'Pending') unready.add(name);
    else if (sample === undefined) missing.add(name);
    else if (resource === 'cpu' && isWarmingUp(pod, sample, timing, nowMs)) unready.add(name);
    else readyCount++;
  }
  return { readyCount, unready, missing, ignored };
}

/** The pod's CPU use says more about its start than about its load. */
function isWarmingUp(pod: Pod, sample: PodSample, timing: ReadinessTiming, nowMs: number): boolean {
  const ready = readyCondition(pod);
  if (ready === undefined || pod.status.startTime === undefined) return true;
  const startMs = Date.parse(pod.status.startTime);
  const changedMs = ready.lastTransitionTime === undefined ? 0 : Date.parse(ready.lastTransitionTime);
  if (startMs + timing.cpuInitializationMs > nowMs) return ready.status === 'False' || sample.timestampMs < changedMs + sample.windowMs;
  return ready.status === 'False' && startMs + timing.initialReadinessDelayMs > changedMs;
}

/** Pods that are ready and running, for metrics that are measured elsewhere. */
export function readyPodCount(pods: readonly Pod[]): number {
  if (pods.length === 0) throw new Error('no pods returned by selector while calculating replica count');
  return pods.filter((pod) => !hasEnded(pod) && pod.status.phase === 'Running' && isReady(pod)).length;
}
