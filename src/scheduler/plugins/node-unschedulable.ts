/** NodeUnschedulable: a cordoned node takes only pods that tolerate `node.kubernetes.io/unschedulable`. */
import { isTolerated } from '../../machinery/tolerations.ts';
import type { Plugin } from '../plugin.ts';

const cordon = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

export const nodeUnschedulable: Plugin = {
  name: 'NodeUnschedulable',
  helpedBy: ['node-added', 'node-schedulable-changed'],
  filter(pod, node) {
    if (node.node?.spec.unschedulable !== true || isTolerated(cordon, pod.pod.spec.tolerations)) return [];
    return [{ reason: 'node(s) were unschedulable', unresolvable: true }];
  },
};
