/**
 * What happens to containers, pushed by containerd's own event service: CRI's stream exists only from containerd 1.7. The service speaks of tasks,
 * and speaks before the CRI plugin has taken note; an exit is told on only once CRI tells it too, so that a listener who looks sees it.
 */
import type { World } from '../../world/world.ts';
import type { CriChannel } from './cri-channel.ts';
import { EventEnvelope, SubscribeRequest, TaskEvent, TaskExit } from './cri-messages.ts';
import type { Decoded } from './cri-protobuf.ts';
import type { RuntimeEvent } from './runtime.ts';

export interface ContainerdEventsOptions {
  readonly channel: CriChannel;
  readonly world: World;
  /** Whether CRI says that this container or sandbox no longer runs. */
  readonly hasExited: (id: string) => Promise<boolean>;
  readonly onEvent: (event: RuntimeEvent) => void;
  readonly signal: AbortSignal;
}

const typeOfTopic: Readonly<Record<string, RuntimeEvent['type']>> = {
  '/containers/create': 'created',
  '/tasks/start': 'started',
  '/tasks/exit': 'exited',
  '/tasks/oom': 'oom',
  '/containers/delete': 'removed',
};

const filters = Object.keys(typeOfTopic).map((topic) => `topic=="${topic}",namespace==k8s.io`);
/** How a process ends that the kernel killed. */
const killedStatus = 137;
/** So long an exit by SIGKILL is held back: that memory was the cause is told by another event, which may come a little later. */
const causeWaitsMs = [5, 10, 20, 40, 75];
/** Of containers that ran out of memory, so many are remembered. */
const mostRemembered = 1000;

const shortestRetryMs = 50;
const longestRetryMs = 2_000;
/** How often CRI is asked whether it has seen an exit: it takes a few milliseconds, so the waits grow from there. */
const settleWaitsMs = [2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000];

export function watchContainerdEvents(options: ContainerdEventsOptions): void {
  const { world, signal } = options;
  const log = world.log.child('cri-events');
  const outOfMemory = new Set<string>();
  const run = async (): Promise<void> => {
    let retryMs = shortestRetryMs;
    while (!signal.aborted) {
      try {
        await options.channel.stream(
          '/containerd.services.events.v1.Events/Subscribe',
          SubscribeRequest,
          EventEnvelope,
          { filters },
          (envelope) => {
            retryMs = shortestRetryMs;
            deliver(options, envelope, outOfMemory);
          },
          signal,
        );
      } catch (error) {
        log.warn('the event stream broke; subscribing again', { error: String(error) });
      }
      await world.clock.sleep(retryMs, signal).catch(() => undefined);
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
  };
  void run();
}

function deliver(options: ContainerdEventsOptions, envelope: Decoded<typeof EventEnvelope>, outOfMemory: Set<string>): void {
  const type = typeOfTopic[envelope.topic];
  if (type === undefined || envelope.event === undefined) return;
  if (type !== 'exited') {
    const id = TaskEvent.decode(envelope.event.value).containerId;
    if (type === 'oom') {
      outOfMemory.add(id);
      for (const oldest of outOfMemory) if (outOfMemory.size > mostRemembered) outOfMemory.delete(oldest);
    }
    if (type === 'removed') outOfMemory.delete(id);
    options.onEvent({ id, type });
    return;
  }
  const exit = TaskExit.decode(envelope.event.value);
  // An exec that ended: its process has an id of its own.
  if (exit.id !== exit.containerId) return;
  const mayLackCause = exit.exitStatus === killedStatus;
  void settle(options, exit.containerId, () => mayLackCause && !outOfMemory.has(exit.containerId));
}

async function settle({ world, hasExited, onEvent, signal }: ContainerdEventsOptions, id: string, lacksCause: () => boolean): Promise<void> {
  for (const waitMs of settleWaitsMs) {
    const exited = await hasExited(id).catch(() => false);
    if (exited || signal.aborted) break;
    await world.clock.sleep(waitMs, signal).catch(() => undefined);
  }
  for (const waitMs of causeWaitsMs) {
    if (!lacksCause() || signal.aborted) break;
    await world.clock.sleep(waitMs, signal).catch(() => undefined);
  }
  if (!signal.aborted) onEvent({ id, type: 'exited' });
}
