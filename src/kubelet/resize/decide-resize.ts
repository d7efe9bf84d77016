/**
 * Whether a running pod may have the resources it is asked to have: now, when others have left room, or never on this node. A pure function.
 * https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
 */
import type { Node, Pod } from '../../api/kinds.ts';
import { bytes, milli, podRequest } from '../resources.ts';

export type ResizeVerdict = { readonly outcome: 'accepted' } | { readonly outcome: 'Deferred' | 'Infeasible'; readonly message: string };

const counted = [
  ['cpu', milli],
  ['memory', bytes],
] as const;

/** `wanted` is the pod as its spec now says; `others` are those that were given room on this node before. */
export function decideResize(wanted: Pod, node: Node, others: readonly Pod[]): ResizeVerdict {
  const allocatable = node.status.allocatable ?? {};
  for (const [name, unit] of counted) {
    const requested = podRequest(wanted, name, unit);
    const capacity = unit(allocatable[name]);
    if (requested > capacity)
      return { outcome: 'Infeasible', message: `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${capacity}` };
  }
  for (const [name, unit] of counted) {
    const requested = podRequest(wanted, name, unit);
    const used = others.reduce((sum, other) => sum + podRequest(other, name, unit), 0);
    const capacity = unit(allocatable[name]);
    if (requested > 0 && used + requested > capacity) {
      const message = `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`;
      return { outcome: 'Deferred', message };
    }
  }
  return { outcome: 'accepted' };
}
