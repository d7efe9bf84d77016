/**
 * What follows a decision: reserve, permit, preBind, bind, postBind, in upstream's order. The pod counts on its node from the first step on; whatever fails
 * takes everything back, in reverse order.
 */
import type { Stopwatch } from './observer.ts';
import type { PodInfo } from './pod-info.ts';
import type { Plugin } from './plugin.ts';
import type { Profile } from './profile.ts';
import type { Snapshot } from './snapshot.ts';
import { type PermitWaits, RefusedLate } from './waiting.ts';

export interface BindingCycle {
  readonly profile: Profile;
  readonly pod: PodInfo;
  readonly nodeName: string;
}

/** Books what the pod needs. Throws, with everything taken back, when a plugin refuses. */
export function reserve({ profile, pod, nodeName }: BindingCycle, snapshot: Snapshot): void {
  for (const plugin of profile.reserve) {
    try {
      plugin.reserve?.(pod, nodeName, snapshot);
    } catch (error) {
      unreserve({ profile, pod, nodeName });
      throw new RefusedLate(plugin.name, error instanceof Error ? error.message : String(error));
    }
  }
}

export function unreserve({ profile, pod, nodeName }: BindingCycle): void {
  for (const plugin of profile.reserve.toReversed()) plugin.unreserve?.(pod, nodeName);
}

/** Asks for permission; answers whom to wait for. Throws when a plugin refuses. */
function permit({ profile, pod, nodeName }: BindingCycle): { name: string; waitMs: number }[] {
  const waits: { name: string; waitMs: number }[] = [];
  for (const plugin of profile.permit) {
    const permission = plugin.permit?.(pod, nodeName) ?? 'allow';
    if (permission === 'allow') continue;
    if ('reasons' in permission) throw new RefusedLate(plugin.name, permission.reasons.join(', '));
    waits.push({ name: plugin.name, waitMs: permission.waitMs });
  }
  return waits;
}

const succeeded = (): boolean => true;

/** Resolves when the pod is bound. Rejects when it is not; taking back is the caller's. */
export async function bind(cycle: BindingCycle, waits: PermitWaits, signal: AbortSignal, stopwatch: Stopwatch): Promise<void> {
  const { profile, pod, nodeName } = cycle;
  const pending = stopwatch('Permit', succeeded, () => permit(cycle));
  if (pending.length > 0) await waits.wait(pod.key, pending);
  const preparing = profile.preBind.filter((plugin) => plugin.needsPreBind?.(pod, nodeName) !== false);
  if (preparing.length > 0) {
    await stopwatch('PreBind', succeeded, async () => {
      for (const plugin of preparing) await plugin.preBind?.(pod, nodeName, signal);
    });
  }
  await stopwatch('Bind', succeeded, () => bindBy(cycle));
  stopwatch('PostBind', succeeded, () => {
    for (const plugin of profile.postBind) plugin.postBind?.(pod, nodeName);
  });
}

async function bindBy({ profile, pod, nodeName }: BindingCycle): Promise<void> {
  const binder = profile.extenders.find((extender) => extender.bind && extender.isInterestedIn(pod));
  if (binder?.bind) {
    await binder.bind(pod, nodeName);
    return;
  }
  for (const plugin of profile.bind) if (await boundBy(plugin, pod, nodeName)) return;
  throw new Error('no bind plugin took the pod');
}

async function boundBy({ bind: write }: Plugin, pod: PodInfo, nodeName: string): Promise<boolean> {
  return write !== undefined && (await write(pod, nodeName));
}
