/**
 * Ends the node's pods before the machine goes: those that are not critical first, then, in the time kept for them, the critical ones. Asked for by
 * `shutdownGracePeriod`; without it pods run on when their kubelet stops. https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/
 */
import type { Pod } from '../api/kinds.ts';
import type { Clock } from '../world/world.ts';
import { isCriticalPod } from './eviction/rank.ts';

export interface EndingPod {
  readonly pod: Pod;
  /** Whether anything of it is left that has to be waited for. */
  counts(): boolean;
  shutDown(graceSeconds: number): void;
}

export interface ShutdownOptions {
  readonly clock: Clock;
  readonly pods: () => readonly EndingPod[];
  readonly graceMs: number;
  /** The last part of it. */
  readonly criticalMs: number;
  /** Calls back whenever a pod has ended, until the answer is called. */
  readonly onEnd: (callback: () => void) => () => void;
}

export const shutdownVerdict = { reason: 'Terminated', message: 'Pod was terminated in response to imminent node shutdown.' };
export const shutdownRefusal = { reason: 'NodeShutdown', message: 'Pod was rejected as the node is shutting down.' };

export async function shutDownPods({ clock, pods, graceMs, criticalMs, onEnd }: ShutdownOptions): Promise<void> {
  const all = pods();
  const critical = all.filter(({ pod }) => isCriticalPod(pod));
  const others = all.filter((candidate) => !critical.includes(candidate));
  for (const [group, ms] of [
    [others, graceMs - criticalMs],
    [critical, criticalMs],
  ] as const) {
    if (group.length === 0) continue;
    for (const one of group) one.shutDown(Math.min(Math.floor(ms / 1000), one.pod.spec.terminationGracePeriodSeconds ?? 30));
    await untilEnded(group, ms, clock, onEnd);
  }
}

/** Resolves when they have ended, or when their time is over. */
function untilEnded(group: readonly EndingPod[], ms: number, clock: Clock, onEnd: ShutdownOptions['onEnd']): Promise<void> {
  return new Promise((resolve) => {
    const stop = onEnd(look);
    const timer = clock.after(ms, done);
    function look(): void {
      if (!group.some((one) => one.counts())) done();
    }
    function done(): void {
      timer.cancel();
      stop();
      resolve();
    }
    look();
  });
}
