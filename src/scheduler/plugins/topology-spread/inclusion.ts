/** Which nodes count when domains are compared: those the pod could go to by its node affinity and its tolerations, as far as the constraint wants that. */
import { selectsNode } from '../../../machinery/node-selector.ts';
import { isTolerated } from '../../../machinery/tolerations.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { NodeRow, Snapshot } from '../../snapshot.ts';
import type { Constraint } from './constraints.ts';

type Test = (node: NodeRow) => boolean;

/** Undefined when every node counts. */
export function inclusionOf({ honorsAffinity, honorsTaints }: Constraint, pod: PodInfo, snapshot: Snapshot): Test | undefined {
  const selected = honorsAffinity ? affinityTest(pod) : undefined;
  const tolerated = honorsTaints ? taintTest(pod, snapshot) : undefined;
  if (selected && tolerated) return (node) => selected(node) && tolerated(node);
  return selected ?? tolerated;
}

export function affinityTest({ pod }: PodInfo): Test | undefined {
  const { nodeSelector, affinity } = pod.spec;
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (nodeSelector === undefined && terms === undefined) return undefined;
  return ({ node }) => node !== undefined && selectsNode(nodeSelector, terms, node);
}

function taintTest({ pod }: PodInfo, { taintSetOf, taintSets }: Snapshot): Test | undefined {
  if (taintSets.length <= 1) return undefined;
  const verdicts = taintSets.map((taints) =>
    (taints ?? []).every((taint) => taint.effect === 'PreferNoSchedule' || isTolerated(taint, pod.spec.tolerations)),
  );
  return ({ index }) => verdicts[taintSetOf[index] ?? 0] === true;
}
