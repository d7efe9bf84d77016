/** When a claim's devices drive out the pods that use it: pure functions of what was allocated and of what drivers say about their devices. */
import type { ResourceClaim, ResourceSlice } from '../../api/kinds.ts';
import type { V1DeviceRequestAllocationResult, V1DeviceTaint } from '../../api/types.ts';
import { tolerates } from '../../machinery/tolerations.ts';

/** Of all slices of a pool, those of its newest generation count. */
export function taintsIn(slices: readonly ResourceSlice[], { driver, pool, device }: V1DeviceRequestAllocationResult): readonly V1DeviceTaint[] {
  const mine = slices.filter(({ spec }) => spec.driver === driver && spec.pool.name === pool);
  const newest = Math.max(...mine.map(({ spec }) => spec.pool.generation));
  return mine
    .filter(({ spec }) => spec.pool.generation === newest)
    .flatMap(({ spec }) => spec.devices?.find(({ name }) => name === device)?.taints ?? []);
}

/**
 * In epoch ms; undefined for never. A toleration's patience is counted from when the taint was put on; `seenMs` is when, for one that does not say. What the claim
 * tolerated when its devices were allocated holds.
 */
export function claimEvictionTime(
  claim: ResourceClaim,
  taintsOf: (result: V1DeviceRequestAllocationResult) => readonly V1DeviceTaint[],
  seenMs: number,
): number | undefined {
  let first: number | undefined;
  for (const result of claim.status?.allocation?.devices?.results ?? []) {
    for (const taint of taintsOf(result)) {
      if (taint.effect !== 'NoExecute') continue;
      const matching = (result.tolerations ?? []).filter((toleration) => tolerates(toleration, taint));
      const patience = matching.length === 0 ? 0 : Math.min(...matching.map(({ tolerationSeconds }) => tolerationSeconds ?? Infinity));
      if (patience === Infinity) continue;
      const at = (taint.timeAdded === undefined ? seenMs : Date.parse(taint.timeAdded)) + Math.max(0, patience) * 1000;
      if (first === undefined || at < first) first = at;
    }
  }
  return first;
}
