/** NodePorts: two pods on a node cannot claim the same host port of an address and protocol. */
import type { Plugin } from '../plugin.ts';
import type { HostPort } from '../snapshot.ts';

export const nodePorts: Plugin = {
  name: 'NodePorts',
  helpedBy: ['node-added', 'assigned-pod-deleted'],
  filter(pod, node) {
    if (pod.hostPorts.length === 0) return [];
    for (const other of node.pods.values()) {
      if (other.hostPorts.some((taken) => pod.hostPorts.some((wanted) => clash(taken, wanted)))) {
        return [{ reason: "node(s) didn't have free ports for the requested pod ports", unresolvable: false }];
      }
    }
    return [];
  },
};

function clash(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && a.protocol === b.protocol && (a.address === b.address || a.address === '' || b.address === '');
}
