/** Waiting for a condition, on either clock: asked again after whatever happens, never on a guess. */
import type { SimulatedWorld } from '../../world/simulated.ts';
import type { Parts } from './parts.ts';

export interface Wait {
  readonly what: string;
  readonly timeoutMs: number;
}

type Truthy<T> = Exclude<T, false | undefined | null | 0 | ''>;

/** Something may become true without a write (a deadline passes, a test's own code runs): asked at least so often. */
const askEveryMs = 250;

/** Asked after each write to the store. */
export async function untilReal<T>(parts: Parts, condition: () => T | Promise<T>, { what, timeoutMs }: Wait): Promise<Truthy<T>> {
  const { clock } = parts.world;
  const endMs = clock.now() + timeoutMs;
  for (;;) {
    const nextWrite = parts.server.nextCommit(Math.min(askEveryMs, Math.max(1, endMs - clock.now())));
    const answer = await condition();
    if (isTrue(answer)) return answer;
    if (clock.now() >= endMs) throw new Error(`after ${timeoutMs} ms still not: ${what}`);
    await nextWrite;
  }
}

/** Asked after each thing that happens as time goes on. */
export async function untilVirtual<T>(world: SimulatedWorld, condition: () => T | Promise<T>, { what, timeoutMs }: Wait): Promise<Truthy<T>> {
  const endMs = world.clock.now() + timeoutMs;
  await world.settle();
  for (;;) {
    const answer = await condition();
    if (isTrue(answer)) return answer;
    if (!(await world.step(endMs))) throw new Error(`after ${timeoutMs} ms of virtual time still not: ${what}`);
  }
}

function isTrue<T>(answer: T): answer is Truthy<T> {
  return Boolean(answer);
}
