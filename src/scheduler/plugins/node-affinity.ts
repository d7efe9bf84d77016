/** NodeAffinity: `nodeSelector`, required and preferred node affinity against the node's labels and name. */
import { matchesTerm, selectsNode } from '../../machinery/node-selector.ts';
import type { Plugin } from '../plugin.ts';

export const nodeAffinity: Plugin = {
  name: 'NodeAffinity',
  helpedBy: ['node-added', 'node-labels-changed'],
  filter(pod, node) {
    const { nodeSelector, affinity } = pod.pod.spec;
    const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    if (!node.node || selectsNode(nodeSelector, terms, node.node)) return [];
    return [{ reason: "node(s) didn't match Pod's node affinity/selector", unresolvable: true }];
  },
  score(pod, node) {
    const preferred = pod.pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    const { node: row } = node;
    if (!row) return 0;
    return preferred.reduce((sum, { weight, preference }) => (matchesTerm(preference, row) ? sum + weight : sum), 0);
  },
  normalize: 'proportional',
  weight: 2,
};
