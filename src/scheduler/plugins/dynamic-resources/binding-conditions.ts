/** Devices that are made ready after they are allocated: the pod is bound when all conditions the device names are true. Upstream's KEP 5007. */
import type { ResourceClaim } from '../../../api/kinds.ts';

export type BindingState = 'ready' | 'waiting' | { readonly failed: string };

export function bindingState({ metadata, status }: ResourceClaim, nowMs: number, timeoutMs: number): BindingState {
  const allocation = status?.allocation;
  if (allocation === undefined) return 'waiting';
  let waits = false;
  for (const { driver, pool, device, shareID, bindingConditions = [], bindingFailureConditions = [] } of allocation.devices?.results ?? []) {
    if (bindingConditions.length === 0) continue;
    const told = status?.devices?.find((one) => one.driver === driver && one.pool === pool && one.device === device && one.shareID === shareID);
    const truths = new Map(told?.conditions?.filter((condition) => condition.status === 'True').map((condition) => [condition.type, condition]));
    const failure = bindingFailureConditions.map((type) => truths.get(type)).find((condition) => condition !== undefined);
    if (failure) return { failed: `claim ${metadata.name} binding failed: reason=${failure.reason}, message=${JSON.stringify(failure.message)}` };
    waits ||= !bindingConditions.every((type) => truths.has(type));
  }
  if (!waits) return 'ready';
  const { allocationTimestamp } = allocation;
  const isLate = allocationTimestamp !== undefined && Date.parse(allocationTimestamp) + timeoutMs <= nowMs;
  return isLate ? { failed: `claim ${metadata.name} binding timeout` } : 'waiting';
}
