/**
 * How fast a workload may follow its metrics: stabilization windows, rates of change, least and most. Pure functions over the recent past, which the autoscaler keeps
 * in memory. Follows https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#configurable-scaling-behavior
 */
import type { V2HPAScalingPolicy, V2HPAScalingRules, V2HorizontalPodAutoscalerBehavior } from '../../api/types.ts';
import { roundUp } from './pod-metrics.ts';

export interface Recommendation {
  readonly atMs: number;
  readonly replicas: number;
}

/** A change that was made. */
export interface ScaleChange {
  readonly atMs: number;
  /** Replicas added (positive) or taken away (negative). */
  readonly change: number;
}

export interface History {
  readonly recommendations: readonly Recommendation[];
  readonly changes: readonly ScaleChange[];
}

export const emptyHistory: History = { recommendations: [], changes: [] };

export interface Proposal {
  readonly currentReplicas: number;
  readonly desiredReplicas: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly behavior: V2HorizontalPodAutoscalerBehavior | undefined;
  /** Of an autoscaler that does not say: how long fewer replicas must have been enough. */
  readonly downscaleStabilizationMs: number;
  readonly nowMs: number;
}

/** A reason for a condition, with words for people. */
export interface Why {
  readonly reason: string;
  readonly message: string;
}

export interface Limited {
  readonly replicas: number;
  /** What the AbleToScale condition says. */
  readonly able: Why;
  readonly limited: boolean;
  /** What the ScalingLimited condition says. */
  readonly limit: Why;
  readonly history: History;
}

/** An autoscaler that says nothing of its behaviour grows to twice its size at most, or to this many. */
const smallestLeap = 4;

/** The proposal as far as the rules let it go now, and the history with it. */
export function limitScaling(proposal: Proposal, history: History): Limited {
  const up: V2HPAScalingRules = { stabilizationWindowSeconds: 0, ...proposal.behavior?.scaleUp };
  const down: V2HPAScalingRules = { stabilizationWindowSeconds: proposal.downscaleStabilizationMs / 1000, ...proposal.behavior?.scaleDown };
  const stabilized = stabilize(proposal, history.recommendations, up, down);
  const limit = limitRate({ ...proposal, desiredReplicas: stabilized.replicas }, history.changes, up, down);
  return {
    replicas: limit.replicas,
    able: stabilized.able,
    limited: limit.replicas !== stabilized.replicas,
    limit: limit.why,
    history: {
      recommendations: [
        ...history.recommendations.filter(({ atMs }) => atMs > proposal.nowMs - 1000 * Math.max(windowOf(up), windowOf(down))),
        { atMs: proposal.nowMs, replicas: proposal.desiredReplicas },
      ],
      changes: history.changes.filter(({ atMs }) => atMs > proposal.nowMs - 1000 * Math.max(longestPeriod(up), longestPeriod(down))),
    },
  };
}

function windowOf(rules: V2HPAScalingRules): number {
  return rules.stabilizationWindowSeconds ?? 0;
}

function longestPeriod(rules: V2HPAScalingRules): number {
  return Math.max(0, ...(rules.policies ?? []).map(({ periodSeconds }) => periodSeconds));
}

function stabilize(
  { currentReplicas, desiredReplicas, nowMs }: Proposal,
  recommendations: readonly Recommendation[],
  up: V2HPAScalingRules,
  down: V2HPAScalingRules,
): { replicas: number; able: Why } {
  let [lowest, highest] = [desiredReplicas, desiredReplicas];
  for (const { atMs, replicas } of recommendations) {
    if (atMs > nowMs - 1000 * windowOf(up)) lowest = Math.min(lowest, replicas);
    if (atMs > nowMs - 1000 * windowOf(down)) highest = Math.max(highest, replicas);
  }
  const replicas = Math.min(Math.max(currentReplicas, lowest), highest);
  if (replicas === desiredReplicas) {
    return { replicas, able: { reason: 'ReadyForNewScale', message: 'recommended size matches current size' } };
  }
  return {
    replicas,
    able:
      desiredReplicas >= currentReplicas
        ? { reason: 'ScaleUpStabilized', message: 'recent recommendations were lower than current one, applying the lowest recent recommendation' }
        : {
            reason: 'ScaleDownStabilized',
            message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
          },
  };
}

const withinRange: Why = { reason: 'DesiredWithinRange', message: 'the desired count is within the acceptable range' };

function limitRate(
  proposal: Proposal,
  changes: readonly ScaleChange[],
  up: V2HPAScalingRules,
  down: V2HPAScalingRules,
): { replicas: number; why: Why } {
  const { currentReplicas, desiredReplicas, minReplicas, maxReplicas } = proposal;
  if (desiredReplicas > currentReplicas) {
    const fastest = fastestUp(proposal, changes, up);
    const most = Math.min(maxReplicas, fastest);
    if (desiredReplicas > most) {
      return {
        replicas: most,
        why:
          maxReplicas > fastest
            ? { reason: 'ScaleUpLimit', message: 'the desired replica count is increasing faster than the maximum scale rate' }
            : { reason: 'TooManyReplicas', message: 'the desired replica count is more than the maximum replica count' },
      };
    }
  } else if (desiredReplicas < currentReplicas) {
    const fastest = fastestDown(proposal, changes, down);
    const least = Math.max(minReplicas, fastest);
    if (desiredReplicas < least) {
      return {
        replicas: least,
        why:
          minReplicas < fastest
            ? { reason: 'ScaleDownLimit', message: 'the desired replica count is decreasing faster than the maximum scale rate' }
            : { reason: 'TooFewReplicas', message: 'the desired replica count is less than the minimum replica count' },
      };
    }
  }
  return { replicas: desiredReplicas, why: withinRange };
}

/** The most replicas there may be now. Never fewer than there are: what older rules allowed is not taken back. */
function fastestUp(proposal: Proposal, changes: readonly ScaleChange[], rules: V2HPAScalingRules): number {
  const { behavior, currentReplicas } = proposal;
  if (behavior === undefined) return Math.max(2 * currentReplicas, smallestLeap);
  const reaches = reachesOf(proposal, changes, rules, (start, { type, value }) =>
    type === 'Pods' ? start + value : roundUp(start * (1 + value / 100)),
  );
  return Math.max(currentReplicas, rules.selectPolicy === 'Min' ? Math.min(...reaches) : Math.max(...reaches));
}

/** The fewest replicas there may be now. */
function fastestDown(proposal: Proposal, changes: readonly ScaleChange[], rules: V2HPAScalingRules): number {
  const { behavior, currentReplicas } = proposal;
  if (behavior === undefined) return 0;
  const reaches = reachesOf(proposal, changes, rules, (start, { type, value }) =>
    type === 'Pods' ? start - value : Math.trunc(start * (1 - value / 100)),
  );
  return Math.min(currentReplicas, rules.selectPolicy === 'Min' ? Math.max(...reaches) : Math.min(...reaches));
}

/** How far each policy of one direction lets the count go, counted from what it was when the policy's period began. */
function reachesOf(
  { currentReplicas, nowMs }: Proposal,
  changes: readonly ScaleChange[],
  { selectPolicy, policies = [] }: V2HPAScalingRules,
  step: (start: number, policy: V2HPAScalingPolicy) => number,
): readonly number[] {
  if (selectPolicy === 'Disabled' || policies.length === 0) return [currentReplicas];
  return policies.map((policy) => {
    let start = currentReplicas;
    for (const { atMs, change } of changes) if (atMs > nowMs - 1000 * policy.periodSeconds) start -= change;
    return step(start, policy);
  });
}
