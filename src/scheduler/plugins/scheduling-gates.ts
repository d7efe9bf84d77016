/** SchedulingGates: a pod with gates waits outside the queues until all of them are removed. */
import type { Plugin } from '../plugin.ts';

export const schedulingGates: Plugin = {
  name: 'SchedulingGates',
  helpedBy: ['pod-changed'],
  hold(pod) {
    const gates = pod.pod.spec.schedulingGates ?? [];
    return gates.length === 0 ? undefined : `waiting for scheduling gates: [${gates.map((gate) => gate.name).join(' ')}]`;
  },
};
