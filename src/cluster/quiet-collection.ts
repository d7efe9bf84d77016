/**
 * Gives memory back to the machine when a burst of work is over. The engine collects while it allocates, and so leaves a process that has become quiet as large
 * as it was at its busiest, for hours.
 */
import type { Clock, Timer } from '../world/world.ts';

/** What is asked of the engine. */
export interface Engine {
  /** Bytes of objects, garbage among them. */
  usedBytes(): number;
  /** Processor time so far, in microseconds. */
  cpuMicros(): number;
  /** Frees all that can be freed; the process does nothing else meanwhile. */
  collect(): void;
}

const lookEveryMs = 5_000;
/** Busier than this in the last interval, the process is left alone. */
const quietShare = 0.05;
/** Less than this is not worth the pause. */
const worthBytes = 3 * 1024 * 1024;
/** Of a heap larger than this a collection takes so long that callers would notice. */
const largestBytes = 128 * 1024 * 1024;

/** Looks now and then, until the timer is cancelled. */
export function collectWhenQuiet(clock: Clock, engine: Engine): Timer {
  let lastMicros = engine.cpuMicros();
  let usedAfter = 0;
  return clock.every(lookEveryMs, () => {
    const micros = engine.cpuMicros();
    const isQuiet = micros - lastMicros < lookEveryMs * 1000 * quietShare;
    lastMicros = micros;
    const used = engine.usedBytes();
    if (!isQuiet || used > largestBytes || used - usedAfter < worthBytes) return;
    engine.collect();
    usedAfter = engine.usedBytes();
    lastMicros = engine.cpuMicros();
  });
}

/** Node's, when it was started with `--expose-gc`. */
export function nodeEngine(): Engine | undefined {
  const collect = globalThis.gc;
  if (collect === undefined) return undefined;
  return {
    usedBytes: () => process.memoryUsage().heapUsed,
    cpuMicros() {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    collect: () => collect({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
  };
}
