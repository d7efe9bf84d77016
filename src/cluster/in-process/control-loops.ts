/** The processes of a control plane beside its API server: the controller manager and the scheduler, each with its own identity and caches. */
import { createEventRecorder } from '../../client/events.ts';
import { createInformers } from '../../client/informers.ts';
import type { ControllerOptions } from '../../controllers/controller.ts';
import { startControllers } from '../../controllers/manager.ts';
import { type Scheduler, startScheduler } from '../../scheduler/scheduler.ts';
import type { World } from '../../world/world.ts';
import { named } from '../identity.ts';
import type { Running, Surroundings } from './process.ts';

export interface ControllerManagerSettings {
  /** As `--controllers` takes it. */
  readonly controllers?: string;
  readonly options: Partial<ControllerOptions>;
  readonly freeze: boolean;
}

export function runControllerManager(world: World, { clientFor }: Surroundings, settings: ControllerManagerSettings): Running {
  const informers = createInformers(clientFor(named('system:kube-controller-manager')), world, { freeze: settings.freeze });
  const controllers = startControllers({
    world,
    informers,
    clientFor: (name) => clientFor(named(name)),
    ...(settings.controllers !== undefined && { controllers: settings.controllers }),
    options: settings.options,
  });
  return {
    ready: controllers.started,
    async close() {
      // First the caches: what is under way then ends with the next answer instead of going on with what comes in.
      informers.close();
      await controllers.close();
    },
  };
}

/** `running` is told which scheduler answers questions about pods from now on. */
export function runScheduler(
  world: World,
  { clientFor }: Surroundings,
  freeze: boolean,
  running: (scheduler: Scheduler | undefined) => void,
): Running {
  const client = clientFor(named('system:kube-scheduler'));
  const informers = createInformers(client, world, { freeze });
  const events = createEventRecorder(client, world, { component: 'default-scheduler' });
  const scheduler = startScheduler({ world, client, informers, events });
  running(scheduler);
  return {
    ready: scheduler.ready,
    close() {
      running(undefined);
      scheduler.close();
      events.close();
      informers.close();
    },
  };
}
