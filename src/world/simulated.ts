/**
 * A world that a test owns: time stands still until nothing is left to do, then jumps to the next timer, and the same seed gives the same
 * history. Nothing here depends on the machine's speed.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { silentLog, tellingLog } from './system.ts';
import { type HeapTimer, TimerHeap } from './timer-heap.ts';
import { type Clock, nameAlphabet, type OnLog, type Random, type Timer, type World } from './world.ts';

export interface SimulatedWorldOptions {
  /** Epoch ms at the start; 2026-01-01T00:00:00Z when absent. */
  readonly startMs?: number;
  /** Keeps log lines for a test to read. */
  readonly onLog?: OnLog;
}

export interface SimulatedWorld extends World {
  /** Runs everything due within `ms` of virtual time, in order, letting pending promises finish between two timers. */
  advance(ms: number): Promise<void>;
  /** Runs timers until `done()` holds; throws when `limitMs` of virtual time pass first. */
  advanceUntil(done: () => boolean, limitMs?: number): Promise<void>;
  /** Lets everything that is under way finish; the clock stands still, and what is due at this very moment runs. */
  settle(): Promise<void>;
  /** Fires the next timer that is due by `endMs`, and lets what it woke finish; false (and the clock as it was) when there is none. */
  step(endMs: number): Promise<boolean>;
  /** Timers not yet fired: zero after everything was closed. */
  pendingTimers(): number;
  /** Time and chance, for {@link SimulatedWorld.resume}. Timers belong to who set them and are not part of it. */
  moment(): Moment;
  /** Goes to another moment, of this world or another. Timers stay as far away as they were. */
  resume(moment: Moment): void;
}

/** Where a simulated world stands. */
export interface Moment {
  readonly nowMs: number;
  readonly chance: number;
}

interface Entry extends HeapTimer {
  readonly everyMs: number | undefined;
  readonly callback: () => void;
}

export function simulatedWorld(seed: number, options: SimulatedWorldOptions = {}): SimulatedWorld {
  let nowMs = options.startMs ?? Date.UTC(2026, 0, 1);
  let lastId = 0;
  let timers = new TimerHeap<Entry>();
  const chance = { state: seed >>> 0 };

  function add(ms: number, everyMs: number | undefined, callback: () => void): Timer {
    const entry: Entry = { id: ++lastId, atMs: nowMs + Math.max(0, Math.ceil(ms)), everyMs, callback, cancelled: false };
    timers.add(entry);
    return { cancel: () => timers.cancel(entry) };
  }

  function fire(): void {
    const entry = timers.take();
    if (entry === undefined) return;
    nowMs = Math.max(nowMs, entry.atMs);
    if (entry.everyMs === undefined) {
      // Over: cancelling it now is nothing to count.
      entry.cancelled = true;
    } else {
      entry.atMs = nowMs + Math.max(1, Math.ceil(entry.everyMs));
      timers.add(entry);
    }
    entry.callback();
  }

  const clock: Clock = {
    now: () => nowMs,
    after: (ms, callback) => add(ms, undefined, callback),
    every: (ms, callback) => add(ms, ms, callback),
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason);
          return;
        }
        const onAbort = (): void => {
          timer.cancel();
          reject(signal?.reason);
        };
        const timer = add(ms, undefined, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    },
  };

  async function step(endMs: number): Promise<boolean> {
    const next = timers.first();
    if (next === undefined || next.atMs > endMs) return false;
    fire();
    await quiet();
    return true;
  }

  async function runUntil(endMs: number): Promise<void> {
    await quiet();
    while (await step(endMs));
    nowMs = Math.max(nowMs, endMs);
  }

  return {
    clock,
    random: seededRandom(chance),
    log: options.onLog === undefined ? silentLog : tellingLog(options.onLog),
    pendingTimers: () => timers.size,
    step,
    async advanceUntil(done, limitMs = 3_600_000) {
      const endMs = nowMs + limitMs;
      await quiet();
      while (!done()) if (!(await step(endMs))) throw new Error(`still not so after ${limitMs} ms of virtual time`);
    },
    advance: (ms) => runUntil(nowMs + ms),
    settle: () => runUntil(nowMs),
    moment: () => ({ nowMs, chance: chance.state }),
    resume(moment) {
      const before = timers;
      timers = new TimerHeap();
      for (let entry = before.take(); entry !== undefined; entry = before.take()) {
        entry.atMs += moment.nowMs - nowMs;
        timers.add(entry);
      }
      nowMs = moment.nowMs;
      chance.state = moment.chance;
    },
  };
}

/**
 * Lets promises already under way finish. One turn of the event loop is enough: it begins when no microtask is left, however many one led to another.
 * What waits for the system (a socket, a thread) is not waited for.
 */
function quiet(): Promise<void> {
  return nextTurn();
}

/** mulberry32: small, fast, and good enough to spread choices; never for secrets outside a simulation. */
function seededRandom(chance: { state: number }): Random {
  const next = (): number => {
    chance.state = (chance.state + 0x6d2b79f5) >>> 0;
    let t = chance.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (bound: number): number => Math.floor(next() * bound);
  const bytes = (length: number): Buffer => {
    const drawn = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) drawn[i] = int(256);
    return drawn;
  };
  return {
    next,
    int,
    bytes,
    uid() {
      const hex = bytes(16);
      hex[6] = ((hex[6] ?? 0) & 0x0f) | 0x40;
      hex[8] = ((hex[8] ?? 0) & 0x3f) | 0x80;
      const digits = hex.toString('hex');
      return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
    },
    name(length) {
      let name = '';
      for (let i = 0; i < length; i++) name += nameAlphabet.charAt(int(nameAlphabet.length));
      return name;
    },
  };
}
