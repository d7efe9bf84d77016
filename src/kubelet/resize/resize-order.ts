/** Whose resize is looked at first when others leave room: the more important pod, then the better quality of service, then whoever has waited longer. */
import type { Pod } from '../../api/kinds.ts';
import { qosClass } from '../qos.ts';

const ranks = { Guaranteed: 0, Burstable: 1, BestEffort: 2 };

export function compareDeferred(a: Pod, b: Pod): number {
  return (b.spec.priority ?? 0) - (a.spec.priority ?? 0) || ranks[qosClass(a)] - ranks[qosClass(b)] || waitsSince(a) - waitsSince(b);
}

/** Whoever has not yet been told to wait came last. */
function waitsSince({ status: { conditions = [] } }: Pod): number {
  const since = conditions.find(({ type, status }) => type === 'PodResizePending' && status === 'True')?.lastTransitionTime;
  return since === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(since);
}
