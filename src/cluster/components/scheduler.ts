/** `k8ts kube-scheduler`: the scheduler alone. */
import { createEventRecorder } from '../../client/events.ts';
import { createInformers } from '../../client/informers.ts';
import { startScheduler } from '../../scheduler/scheduler.ts';
import { clientOf, type CommonFlags, readConnection, runComponent } from './component.ts';
import { type LeaderFlags, whenLeading } from './leading.ts';

export interface SchedulerFlags extends CommonFlags, LeaderFlags {
  readonly kubeconfig: string;
}

export function runScheduler(flags: SchedulerFlags): Promise<void> {
  return runComponent('kube-scheduler', flags, (running) => {
    const { world, closers } = running;
    const client = clientOf(readConnection(flags.kubeconfig, 'kube-scheduler'), closers);
    whenLeading(flags, client, running, () => {
      const informers = createInformers(client, world);
      const events = createEventRecorder(client, world, { component: 'default-scheduler' });
      const scheduler = startScheduler({ world, client, informers, events });
      // Without an abort nobody waits for a scheduler whose caches were never filled.
      scheduler.ready.catch(() => undefined);
      closers.push(() => {
        scheduler.close();
        informers.close();
        events.close();
      });
    });
  });
}
