/** NodeUnschedulable: a cordoned node takes only pods that tolerate `node.kubernetes.io/unschedulable`. */
import { isTolerated } from '../../machinery/tolerations.ts';
import type { PluginDefinition, Refusal } from '../plugin.ts';

const cordon = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
const cordoned: Refusal = { reasons: ['node(s) were unschedulable'], unresolvable: true };

export const nodeUnschedulable: PluginDefinition = {
  name: 'NodeUnschedulable',
  create: () => ({
    name: 'NodeUnschedulable',
    hints: [{ on: ['NodeAdd', 'NodeUpdateUnschedulable', 'NodeUpdateTaint', 'PodUpdateTolerations'] }],
    preFilter(pod, { unschedulable, hasCordoned }) {
      if (!hasCordoned || isTolerated(cordon, pod.pod.spec.tolerations)) return undefined;
      return { filter: (node) => (unschedulable[node.index] === 1 ? cordoned : undefined) };
    },
  }),
};
