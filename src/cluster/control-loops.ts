/**
 * The loops of a control plane beside its API server, each with its own identity and caches: the controller manager and the scheduler, put together in the one
 * way that `k8ts up` and a cluster in a test share.
 */
import type { User } from '../apiserver/request.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder, warningsOnly } from '../client/events.ts';
import { createInformers } from '../client/informers.ts';
import type { ControllerOptions } from '../controllers/controller.ts';
import { managerUser, startControllers } from '../controllers/manager.ts';
import type { SchedulerObserver } from '../scheduler/observer.ts';
import { type Scheduler, startScheduler } from '../scheduler/scheduler.ts';
import type { World } from '../world/world.ts';
import { named } from './identity.ts';

const schedulerUser = 'system:kube-scheduler';

/** The world, and a line to the API server as whoever the loop is. */
export interface LoopContext {
  readonly world: World;
  readonly clientFor: (user: User) => Client;
  /** Whether objects in caches are frozen. */
  readonly freeze?: boolean;
}

export interface Loop {
  /** Resolves when it does its work. */
  readonly ready: Promise<void>;
  close(): void | Promise<void>;
}

export interface ControllerManagerSettings {
  /** As `--controllers` takes it. */
  readonly controllers?: string;
  readonly options: Partial<ControllerOptions>;
}

export function runControllerManager({ world, clientFor, freeze = false }: LoopContext, { controllers, options }: ControllerManagerSettings): Loop {
  const informers = createInformers(clientFor(named(managerUser)), world, { freeze });
  const running = startControllers({
    world,
    informers,
    clientFor: (name) => clientFor(named(name)),
    ...(controllers !== undefined && { controllers }),
    options,
  });
  return {
    ready: running.started,
    async close() {
      // First the caches: what is under way then ends with the next answer instead of going on with what comes in.
      informers.close();
      await running.close();
    },
  };
}

export interface SchedulerSettings {
  readonly observer?: SchedulerObserver;
  /** Whether it writes events that say that all is well (`Scheduled`); absent, it does. */
  readonly normalEvents?: boolean;
}

export interface SchedulerLoop extends Loop {
  readonly scheduler: Scheduler;
}

export function runScheduler(
  { world, clientFor, freeze = false }: LoopContext,
  { observer, normalEvents = true }: SchedulerSettings = {},
): SchedulerLoop {
  const client = clientFor(named(schedulerUser));
  const informers = createInformers(client, world, { freeze });
  const recorder = createEventRecorder(client, world, { component: 'default-scheduler' });
  const events = normalEvents ? recorder : warningsOnly(recorder);
  const scheduler = startScheduler({ world, client, informers, events, ...(observer && { observer }) });
  return {
    scheduler,
    ready: scheduler.ready,
    close() {
      scheduler.close();
      events.close();
      informers.close();
    },
  };
}
