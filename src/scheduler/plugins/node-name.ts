/** NodeName: a pod that names its node goes nowhere else. */
import type { Plugin } from '../plugin.ts';

export const nodeName: Plugin = {
  name: 'NodeName',
  helpedBy: ['node-added'],
  filter(pod, node) {
    const wanted = pod.pod.spec.nodeName;
    if (wanted === undefined || wanted === '' || wanted === node.name) return [];
    return [{ reason: "node(s) didn't match the requested node name", unresolvable: true }];
  },
};
