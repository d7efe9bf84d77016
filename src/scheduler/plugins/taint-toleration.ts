/** TaintToleration: refuses nodes with a taint the pod does not tolerate; prefers those with fewer taints it had better avoid. */
import { isTolerated, type Taint, type Toleration } from '../../machinery/tolerations.ts';
import { normalizeByHighest, type PluginDefinition, type Refusal } from '../plugin.ts';

type Tolerations = readonly Toleration[] | undefined;

export const taintToleration: PluginDefinition = {
  name: 'TaintToleration',
  weight: 3,
  create: () => ({
    name: 'TaintToleration',
    hints: [{ on: ['NodeAdd', 'NodeUpdateTaint', 'PodUpdateTolerations'] }],
    preFilter(pod, { taintSetOf, taintSets }) {
      if (taintSets.length <= 1) return undefined;
      // Thousands of nodes have few sets of taints between them: each set is judged once.
      const verdicts: (Refusal | 'tolerated' | undefined)[] = ['tolerated'];
      const { tolerations } = pod.pod.spec;
      return {
        filter(node) {
          const id = taintSetOf[node.index] ?? 0;
          const verdict = (verdicts[id] ??= untolerated(taintSets[id], tolerations));
          return verdict === 'tolerated' ? undefined : verdict;
        },
      };
    },
    preScore(pod, { taintSetOf, taintSets, hasSoftTaints }) {
      if (!hasSoftTaints) return undefined;
      const counts: (number | undefined)[] = [0];
      const { tolerations } = pod.pod.spec;
      return {
        score(node) {
          const id = taintSetOf[node.index] ?? 0;
          return (counts[id] ??= softTaints(taintSets[id], tolerations));
        },
        normalize: (scores) => normalizeByHighest(scores, true),
      };
    },
  }),
};

function untolerated(taints: readonly Taint[] = [], tolerations: Tolerations): Refusal | 'tolerated' {
  const taint = taints.find((one) => (one.effect === 'NoSchedule' || one.effect === 'NoExecute') && !isTolerated(one, tolerations));
  if (taint === undefined) return 'tolerated';
  return {
    reasons: ['node(s) had untolerated taint(s)'],
    unresolvable: true,
    detail: () => `untolerated taint {${taint.key}: ${taint.value ?? ''}} with effect ${taint.effect}`,
  };
}

/** Only tolerations that speak of no effect, or of this one, count. */
function softTaints(taints: readonly Taint[] = [], tolerations: Tolerations): number {
  return taints.filter((taint) => taint.effect === 'PreferNoSchedule' && !isTolerated(taint, tolerations)).length;
}
