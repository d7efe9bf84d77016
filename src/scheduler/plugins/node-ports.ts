/** NodePorts: two pods on a node cannot claim the same host port of an address and protocol. */
import type { Pod } from '../../api/kinds.ts';
import type { PluginDefinition, Refusal } from '../plugin.ts';
import { type HostPort, podInfo } from '../pod-info.ts';

const taken: Refusal = { reasons: ["node(s) didn't have free ports for the requested pod ports"], unresolvable: false };

export const nodePorts: PluginDefinition = {
  name: 'NodePorts',
  create: () => ({
    name: 'NodePorts',
    hints: [
      { on: ['NodeAdd'] },
      { on: ['AssignedPodDelete'], helps: (pod, { object }) => object.kind === 'Pod' && clashes(podInfo(object as Pod).hostPorts, pod.hostPorts) },
    ],
    preFilter({ hostPorts }) {
      if (hostPorts.length === 0) return undefined;
      return {
        filter(node) {
          if (node.podsWithPorts === 0) return undefined;
          for (const other of node.pods.values()) if (clashes(other.hostPorts, hostPorts)) return taken;
          return undefined;
        },
      };
    },
  }),
};

function clashes(some: readonly HostPort[], others: readonly HostPort[]): boolean {
  return some.some((a) => others.some((b) => clash(a, b)));
}

function clash(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && a.protocol === b.protocol && (a.address === b.address || a.address === '' || b.address === '');
}
