/** How NodeResourcesFit likes nodes to be filled: `LeastAllocated`, `MostAllocated` or `RequestedToCapacityRatio` with a shape of its own. */
import { type Arguments, ConfigurationError } from '../config/arguments.ts';
import { maxScore } from '../plugin.ts';
import { cpuAndMemory, type Usage, weightedResources, type WeightedResource } from './resource-usage.ts';

export interface ScoringStrategy {
  readonly resources: readonly WeightedResource[];
  /** 0 to 100 for a node, by its index. */
  readonly score: (usage: readonly Usage[], index: number) => number;
}

interface Point {
  /** Percent in use. */
  readonly utilization: number;
  readonly score: number;
}

const types = ['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio'] as const;
/** In shapes, scores go to 10. */
const maxShapeScore = 10;

export function scoringStrategy(args: Arguments | undefined): ScoringStrategy {
  const type = args?.oneOf('type', types) ?? 'LeastAllocated';
  const resources = (args && weightedResources(args, false)) ?? cpuAndMemory;
  const ratio = args?.object('requestedToCapacityRatio');
  args?.done();
  switch (type) {
    case 'LeastAllocated':
      return { resources, score: leastAllocated };
    case 'MostAllocated':
      return { resources, score: mostAllocated };
    case 'RequestedToCapacityRatio': {
      if (ratio === undefined)
        throw new ConfigurationError(`${args?.path}.requestedToCapacityRatio: Required value: it says which score a utilization has`);
      return { resources, score: byShape(shapeOf(ratio)) };
    }
  }
}

/** The more is left, the better. */
function leastAllocated(usage: readonly Usage[], index: number): number {
  let score = 0;
  let weights = 0;
  for (let i = 0; i < usage.length; i++) {
    const resource = usage[i];
    if (resource === undefined) continue;
    const capacity = resource.allocatable[index] ?? 0;
    if (capacity === 0) continue;
    const used = (resource.used[index] ?? 0) + resource.added;
    if (used <= capacity) score += Math.trunc(((capacity - used) * maxScore) / capacity) * resource.weight;
    weights += resource.weight;
  }
  return weights === 0 ? 0 : Math.trunc(score / weights);
}

/** The less is left, the better: nodes are filled one after the other. */
function mostAllocated(usage: readonly Usage[], index: number): number {
  let score = 0;
  let weights = 0;
  for (const { allocatable, used: inUse, added, weight } of usage) {
    const capacity = allocatable[index] ?? 0;
    if (capacity === 0) continue;
    const used = Math.min((inUse[index] ?? 0) + added, capacity);
    score += Math.trunc((used * maxScore) / capacity) * weight;
    weights += weight;
  }
  return weights === 0 ? 0 : Math.trunc(score / weights);
}

function byShape(shape: readonly Point[]): ScoringStrategy['score'] {
  return (usage, index) => {
    let score = 0;
    let weights = 0;
    for (const { allocatable, used: inUse, added, weight } of usage) {
      const capacity = allocatable[index] ?? 0;
      if (capacity === 0) continue;
      const used = (inUse[index] ?? 0) + added;
      const resourceScore = alongShape(shape, used > capacity ? 100 : Math.trunc((used * 100) / capacity));
      if (resourceScore <= 0) continue;
      score += resourceScore * weight;
      weights += weight;
    }
    return weights === 0 ? 0 : Math.round(score / weights);
  };
}

/** On the straight line between the two points around `utilization`. */
function alongShape(shape: readonly Point[], utilization: number): number {
  let before: Point | undefined;
  for (const point of shape) {
    if (utilization <= point.utilization) {
      if (before === undefined) return point.score;
      return (
        before.score + Math.trunc(((point.score - before.score) * (utilization - before.utilization)) / (point.utilization - before.utilization))
      );
    }
    before = point;
  }
  return before?.score ?? 0;
}

function shapeOf(args: Arguments): Point[] {
  const points = (args.objects('shape') ?? []).map((one) => {
    const utilization = one.whole('utilization', 0, 100) ?? 0;
    const score = one.whole('score', 0, maxShapeScore) ?? 0;
    one.done();
    return { utilization, score: score * (maxScore / maxShapeScore) };
  });
  if (points.length === 0) args.refuse('shape', 'at least one point must be specified');
  for (const [index, point] of points.entries()) {
    if ((points[index - 1]?.utilization ?? -1) >= point.utilization) args.refuse('shape', 'utilization values must be sorted in increasing order');
  }
  args.done();
  return points;
}
