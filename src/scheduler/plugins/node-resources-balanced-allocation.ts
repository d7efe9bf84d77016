/**
 * NodeResourcesBalancedAllocation: prefers nodes on which the pod makes the use of resources more even. Half of the score is how much better the balance is
 * with the pod than without it, as upstream since 1.35.
 */
import { NodeMemo } from '../node-memo.ts';
import { maxScore, type PluginDefinition } from '../plugin.ts';
import { cpuAndMemory, type Usage, usageKey, usageOf, weightedResources } from './resource-usage.ts';

export const nodeResourcesBalancedAllocation: PluginDefinition = {
  name: 'NodeResourcesBalancedAllocation',
  create(args) {
    const resources = weightedResources(args, true) ?? cpuAndMemory;
    args.done();
    const memo = new NodeMemo();
    return {
      name: 'NodeResourcesBalancedAllocation',
      hints: [],
      preScore(pod, snapshot) {
        const usage = usageOf(pod, snapshot, resources, false);
        // A pod that asks for nothing changes no balance.
        if (usage.every(({ added }) => added === 0)) return undefined;
        return { score: memo.remember(snapshot, usageKey(usage), (index) => improvement(usage, index)) };
      },
    };
  },
};

/** How even the use of resources would be, and is: the sums for both are made in one walk, for this is asked of every node that fits. */
function improvement(usage: readonly Usage[], index: number): number {
  let count = 0;
  let [sum, squares, difference] = [0, 0, 0];
  let [sumNow, squaresNow, differenceNow] = [0, 0, 0];
  for (let i = 0; i < usage.length; i++) {
    const resource = usage[i];
    if (resource === undefined) continue;
    const capacity = resource.allocatable[index] ?? 0;
    if (capacity === 0) continue;
    const used = resource.used[index] ?? 0;
    const now = Math.min(1, used / capacity);
    const share = Math.min(1, (used + resource.added) / capacity);
    sum += share;
    squares += share * share;
    difference = share - difference;
    sumNow += now;
    squaresNow += now * now;
    differenceNow = now - differenceNow;
    count++;
  }
  const better = evenness(count, sum, squares, difference) - evenness(count, sumNow, squaresNow, differenceNow);
  return maxScore / 2 + Math.trunc((maxScore / 2 + better) / 2);
}

/** 100 when all resources are used in like measure: less by the standard deviation of their shares. For two shares that is half of their distance. */
function evenness(count: number, sum: number, squares: number, difference: number): number {
  if (count < 2) return maxScore;
  const deviation = count === 2 ? Math.abs(difference) / 2 : Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
  return Math.trunc((1 - deviation) * maxScore);
}
