/** postStart and preStop: run to completion, with an event when they fail. */
import type { V1LifecycleHandler } from '../api/types.ts';
import type { Clock } from '../world/world.ts';
import { type HandlerTarget, messageOf, runHandler } from './handler.ts';

/** Undefined when it went well, otherwise what went wrong. Waits for ever: the caller bounds it. */
export async function runHook(hook: V1LifecycleHandler, target: HandlerTarget, clock: Clock, signal: AbortSignal): Promise<string | undefined> {
  try {
    if (hook.sleep) {
      await clock.sleep(hook.sleep.seconds * 1000, signal);
      return undefined;
    }
    const { problem } = await runHandler(hook, target, 0);
    return problem;
  } catch (error) {
    return messageOf(error);
  }
}
