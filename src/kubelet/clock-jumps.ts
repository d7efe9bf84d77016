/**
 * Tells when the machine's clock was set: after a suspend, or by a time server. Timers run by another clock that never jumps, so what was planned for a moment
 * (a token's renewal, the end of a back-off) would wait for as long as it would have before.
 */
import type { Clock, Timer } from '../world/world.ts';

const lookEveryMs = 10_000;
/** A busy machine calls late by itself. */
const slackMs = 5000;

/** Calls back with by how much the clock is ahead of where it should be; negative when it was set back. */
export function onClockJump(clock: Clock, jumped: (byMs: number) => void): Timer {
  let expectedMs = clock.now() + lookEveryMs;
  return clock.every(lookEveryMs, () => {
    const byMs = clock.now() - expectedMs;
    expectedMs = clock.now() + lookEveryMs;
    if (Math.abs(byMs) > slackMs) jumped(byMs);
  });
}
