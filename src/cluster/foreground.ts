/** Waits for Ctrl-C or a request to end, for what runs in the foreground. */
import type { World } from '../world/world.ts';

const anHourMs = 3_600_000;

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process as it would any other. */
export function askedToEnd(): AbortSignal {
  const asked = new AbortController();
  process.once('SIGINT', () => asked.abort());
  process.once('SIGTERM', () => asked.abort());
  return asked.signal;
}

/** Resolves when the signal aborts, and keeps the process alive until then. */
export async function untilAskedToEnd(world: World, signal = askedToEnd()): Promise<void> {
  while (!signal.aborted) await world.clock.sleep(anHourMs, signal).catch(() => undefined);
}
