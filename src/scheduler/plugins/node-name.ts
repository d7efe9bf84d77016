/** NodeName: a pod that names its node goes nowhere else. */
import type { PluginDefinition, Refusal } from '../plugin.ts';

const otherNode: Refusal = { reasons: ["node(s) didn't match the requested node name"], unresolvable: true };

export const nodeName: PluginDefinition = {
  name: 'NodeName',
  create: () => ({
    name: 'NodeName',
    hints: [{ on: ['NodeAdd'] }],
    preFilter(pod) {
      const wanted = pod.pod.spec.nodeName ?? '';
      return wanted === '' ? undefined : { filter: (node) => (node.name === wanted ? undefined : otherNode) };
    },
  }),
};
