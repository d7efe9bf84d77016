/**
 * Which pods go first when there are too many: those that lose the least. Upstream's `ActivePodsWithRanks`: unassigned, pending, not ready, cheap
 * (`controller.kubernetes.io/pod-deletion-cost`), crowded onto one node, young, restarted often.
 */
import type { Pod } from '../../api/kinds.ts';
import { isReady, readySinceMs } from '../pods.ts';

export const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';

interface Ranked {
  readonly pod: Pod;
  readonly assigned: number;
  readonly phase: number;
  readonly ready: number;
  readonly cost: number;
  /** Related pods on the same node, itself included: more of them means it is missed less. */
  readonly crowd: number;
  readonly readyAge: number;
  readonly restarts: number;
  readonly age: number;
}

const phaseOrder: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** The `count` pods to delete. `related` are the active pods of all replica sets with the same owner, which is what "crowded" counts. */
export function podsToDelete(pods: readonly Pod[], related: readonly Pod[], count: number, nowMs: number): readonly Pod[] {
  if (count >= pods.length) return pods;
  const crowds = new Map<string, number>();
  for (const { spec } of related) if (spec.nodeName) crowds.set(spec.nodeName, (crowds.get(spec.nodeName) ?? 0) + 1);
  return pods
    .map((pod) => rank(pod, crowds, nowMs))
    .sort(compare)
    .slice(0, count)
    .map((ranked) => ranked.pod);
}

function rank(pod: Pod, crowds: ReadonlyMap<string, number>, nowMs: number): Ranked {
  const since = readySinceMs(pod);
  return {
    pod,
    assigned: pod.spec.nodeName ? 1 : 0,
    phase: phaseOrder[pod.status.phase ?? 'Pending'] ?? 0,
    ready: isReady(pod) ? 1 : 0,
    cost: deletionCost(pod),
    crowd: pod.spec.nodeName ? (crowds.get(pod.spec.nodeName) ?? 0) : 0,
    readyAge: since === undefined ? 0 : magnitude(nowMs - since),
    restarts: Math.max(0, ...(pod.status.containerStatuses ?? []).map((container) => container.restartCount)),
    age: magnitude(nowMs - Date.parse(pod.metadata.creationTimestamp)),
  };
}

function compare(a: Ranked, b: Ranked): number {
  return (
    a.assigned - b.assigned ||
    a.phase - b.phase ||
    a.ready - b.ready ||
    a.cost - b.cost ||
    b.crowd - a.crowd ||
    a.readyAge - b.readyAge ||
    b.restarts - a.restarts ||
    a.age - b.age ||
    (a.pod.metadata.uid < b.pod.metadata.uid ? -1 : 1)
  );
}

/** Ages are compared by their power of two only, so that among pods of about one age chance decides (`LogarithmicScaleDown`). */
function magnitude(ms: number): number {
  return ms <= 0 ? 0 : Math.floor(Math.log2(ms * 1_000_000));
}

function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[deletionCostAnnotation];
  return text !== undefined && /^(0|-?[1-9][0-9]*)$/.test(text) ? Number(text) : 0;
}
