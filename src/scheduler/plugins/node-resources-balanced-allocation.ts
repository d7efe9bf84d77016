/** NodeResourcesBalancedAllocation: prefers the node whose CPU and memory would be used in like measure. */
import { type Plugin, maxScore } from '../plugin.ts';
import { usedWith } from './node-resources-fit.ts';

export const nodeResourcesBalancedAllocation: Plugin = {
  name: 'NodeResourcesBalancedAllocation',
  helpedBy: [],
  score(pod, node) {
    const fraction = (resource: string): number => Math.min(1, usedWith(pod, node, resource) / (node.allocatable.get(resource) ?? 1));
    // The standard deviation of two numbers is half their distance.
    return (1 - Math.abs(fraction('cpu') - fraction('memory')) / 2) * maxScore;
  },
  normalize: 'as-is',
  weight: 1,
};
