/**
 * Runs controllers: gives each its own client identity, event recorder and queue over the shared caches, and a bounded number of workers. Upstream's
 * kube-controller-manager.
 */
import type { Kind } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder } from '../client/events.ts';
import type { Informer, InformerHandler, Informers } from '../client/informer.ts';
import { type QueueObserver, WorkQueue } from '../client/work-queue.ts';
import { isReason } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { Log, Timer, World } from '../world/world.ts';
import { absent, aliases } from './aliases.ts';
import { allControllers } from './all-controllers.ts';
import { type Controller, type ControllerContext, type ControllerDefinition, type ControllerOptions, defaultOptions } from './controller.ts';
import { messageOf } from './errors.ts';

export interface StartOptions {
  readonly world: World;
  /** Caches shared by all; they read as whoever made them (`system:kube-controller-manager`). */
  readonly informers: Informers;
  /** A client that acts as the user: `system:serviceaccount:kube-system:deployment-controller`, in the groups of service accounts. */
  readonly clientFor: (userName: string) => Client;
  /** As upstream's `--controllers`: `*` for all, names to add, `-name` to leave out; `*` when absent. */
  readonly controllers?: string;
  /** How many keys a controller works on at once; 5 when absent, as upstream. */
  readonly concurrency?: number;
  /** The same for single controllers, by name. */
  readonly concurrencyOf?: Readonly<Record<string, number>>;
  /** Who counts what happens in a controller's queue. */
  readonly observe?: (controller: string) => QueueObserver;
  readonly options?: Partial<ControllerOptions>;
}

/** Who the manager itself is. */
export const managerUser = 'system:kube-controller-manager';

/** So often something may be not found without a line in the log. */
const behindTries = 5;

export interface ControllerHealth {
  readonly name: string;
  /** Its caches are filled and its workers run. */
  readonly started: boolean;
  readonly reconciled: number;
  readonly failed: number;
}

export interface Controllers {
  /** Resolves when every controller works. */
  readonly started: Promise<void>;
  health(): readonly ControllerHealth[];
  /** Stops taking keys and watching; resolves when what was under way has ended. */
  close(): Promise<void>;
}

export function startControllers(start: StartOptions): Controllers {
  const definitions = selectControllers(start.controllers ?? '*', allControllers);
  const running = definitions.map((definition) => runController(definition, start));
  return {
    started: Promise.all(running.map((controller) => controller.started)).then(() => undefined),
    health: () => running.map((controller) => controller.health()),
    async close() {
      await Promise.all(running.map((controller) => controller.close()));
    },
  };
}

/**
 * Which of the known controllers a list such as `*,-job-controller` names; throws for a name no one has. A name without `-` wins over the same with it,
 * and the names of before 1.28 (`job`) still hold, as upstream.
 */
export function selectControllers(list: string, known: readonly ControllerDefinition[]): readonly ControllerDefinition[] {
  const words = list
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
    .map((word) => (word.startsWith('-') ? `-${aliases[word.slice(1)] ?? word.slice(1)}` : (aliases[word] ?? word)));
  for (const word of words) {
    const name = word.replace(/^-/, '');
    if (absent.has(name)) continue;
    if (word !== '*' && !known.some((definition) => definition.name === name)) throw new Error(`"${name}" is not in the list of known controllers`);
  }
  return known.filter(({ name }) => words.includes(name) || (words.includes('*') && !words.includes(`-${name}`)));
}

export interface RunningController {
  readonly started: Promise<void>;
  health(): ControllerHealth;
  close(): Promise<void>;
}

export function runController(
  definition: ControllerDefinition,
  { world, informers, clientFor, concurrency: generally = 5, concurrencyOf, observe, options }: StartOptions,
): RunningController {
  const log = world.log.child(definition.name);
  const abort = new AbortController();
  const queue = new WorkQueue(world, observe && { observer: observe(definition.name) });
  const concurrency = concurrencyOf?.[definition.name] ?? generally;
  const client = clientFor(definition.actsAsManager === true ? managerUser : `system:serviceaccount:kube-system:${definition.serviceAccount}`);
  const events = createEventRecorder(client, world, { component: definition.eventSource ?? definition.serviceAccount });
  const synced: Promise<void>[] = [];
  const unsubscribe: (() => void)[] = [];
  const periodic: { readonly ms: number; readonly callback: () => void }[] = [];
  const timers: Timer[] = [];
  const counts = { started: false, reconciled: 0, failed: 0 };

  const context: ControllerContext = {
    world: { ...world, log },
    client,
    events,
    options: { ...defaultOptions, ...options },
    signal: abort.signal,
    watch<T extends KubeObject>(kind: Kind<T>, handler?: InformerHandler<T>): Informer<T> {
      const informer = informers.of(kind);
      synced.push(informer.synced);
      if (handler) unsubscribe.push(informer.subscribe(handler));
      return informer;
    },
    enqueue: (key) => queue.add(key),
    enqueueAfter: (key, ms) => queue.addAfter(key, ms),
    every: (ms, callback) => periodic.push({ ms, callback }),
  };
  const controller = definition.setup(context);

  const begin = (): void => {
    if (abort.signal.aborted) return;
    counts.started = true;
    for (const { ms, callback } of periodic) timers.push(world.clock.every(ms, callback));
  };
  // Caches that are closed before they were filled reject: then there is nothing to begin.
  const started = Promise.all(synced).then(begin, () => undefined);
  const workers = started.then(async () => {
    if (counts.started) await Promise.all(Array.from({ length: concurrency }, () => work(controller, queue, log, counts)));
  });

  return {
    started,
    health: () => ({ name: definition.name, ...counts }),
    async close() {
      abort.abort();
      for (const stop of unsubscribe) stop();
      for (const timer of timers) timer.cancel();
      queue.close();
      await workers;
      events.close();
    },
  };
}

/** One worker: takes keys until the queue is closed. A key that failed comes back after a pause that grows with each failure. */
async function work(controller: Controller, queue: WorkQueue, log: Log, counts: { reconciled: number; failed: number }): Promise<void> {
  for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
    try {
      const outcome = await controller.reconcile(key);
      counts.reconciled++;
      queue.forget(key);
      if (outcome) queue.addAfter(key, outcome.requeueAfterMs);
    } catch (error) {
      counts.failed++;
      // A conflict says only that the cache was behind, as at first does something gone: the next try sees more.
      const behind = isReason(error, 'Conflict') || (isReason(error, 'NotFound') && queue.failures(key) < behindTries);
      if (behind) log.debug('the cache is behind, trying again', { key, error: messageOf(error) });
      else log.warn('reconcile failed, trying again', { key, error: messageOf(error) });
      queue.addRateLimited(key);
    } finally {
      queue.done(key);
    }
  }
}
