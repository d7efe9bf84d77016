/** NodeResourcesFit: the pod's requests must fit into what is left; prefers the node with the most left (LeastAllocated on CPU and memory). */
import { type Plugin, maxScore } from '../plugin.ts';
import type { NodeInfo, PodInfo } from '../snapshot.ts';

/** A pod that asks for nothing is still counted with these when nodes are compared, as upstream does, so that such pods spread. */
const assumedRequests: Readonly<Record<string, number>> = { cpu: 100, memory: 200 * 1024 * 1024 };

export const nodeResourcesFit: Plugin = {
  name: 'NodeResourcesFit',
  helpedBy: ['node-added', 'node-allocatable-changed', 'assigned-pod-deleted', 'pod-changed'],
  filter(pod, node) {
    const refusals = [];
    for (const [name, amount] of pod.requests) {
      if (amount === 0) continue;
      const allocatable = node.allocatable.get(name) ?? 0;
      if (amount > allocatable - (node.requested.get(name) ?? 0)) {
        refusals.push({ reason: name === 'pods' ? 'Too many pods' : `Insufficient ${name}`, unresolvable: amount > allocatable });
      }
    }
    return refusals;
  },
  score: (pod, node) => (leftOf(pod, node, 'cpu') + leftOf(pod, node, 'memory')) / 2,
  normalize: 'as-is',
  weight: 1,
};

function leftOf(pod: PodInfo, node: NodeInfo, resource: string): number {
  const allocatable = node.allocatable.get(resource) ?? 0;
  const used = usedWith(pod, node, resource);
  return allocatable === 0 || used > allocatable ? 0 : ((allocatable - used) * maxScore) / allocatable;
}

/** What would be in use on the node with the pod on it. */
export function usedWith(pod: PodInfo, node: NodeInfo, resource: string): number {
  return (node.requested.get(resource) ?? 0) + (pod.requests.get(resource) ?? assumedRequests[resource] ?? 0);
}
