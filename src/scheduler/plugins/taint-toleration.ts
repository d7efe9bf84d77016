/** TaintToleration: refuses nodes with a taint the pod does not tolerate; prefers those with fewer taints it had better avoid. */
import { isTolerated } from '../../machinery/tolerations.ts';
import type { Plugin } from '../plugin.ts';

export const taintToleration: Plugin = {
  name: 'TaintToleration',
  helpedBy: ['node-added', 'node-taints-changed', 'pod-changed'],
  filter(pod, node) {
    const taint = node.node?.spec.taints?.find(
      ({ key, value, effect }) =>
        (effect === 'NoSchedule' || effect === 'NoExecute') && !isTolerated({ key, value: value ?? '', effect }, pod.pod.spec.tolerations),
    );
    return taint ? [{ reason: `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`, unresolvable: true }] : [];
  },
  score(pod, node) {
    const soft = node.node?.spec.taints?.filter((taint) => taint.effect === 'PreferNoSchedule') ?? [];
    return soft.filter((taint) => !isTolerated(taint, pod.pod.spec.tolerations)).length;
  },
  normalize: 'inverse',
  weight: 3,
};
