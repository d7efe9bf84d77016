/** SchedulingGates: a pod with gates waits outside the queues until all of them are removed. */
import type { PluginDefinition } from '../plugin.ts';

export const schedulingGates: PluginDefinition = {
  name: 'SchedulingGates',
  create: () => ({
    name: 'SchedulingGates',
    hints: [{ on: ['PodSchedulingGatesEliminated'] }],
    preEnqueue(pod) {
      const gates = pod.pod.spec.schedulingGates ?? [];
      return gates.length === 0 ? undefined : `waiting for scheduling gates: [${gates.map((gate) => gate.name).join(' ')}]`;
    },
  }),
};
