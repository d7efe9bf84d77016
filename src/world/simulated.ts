/**
 * A world that a test owns: time stands still until nothing is left to do, then jumps to the next timer, and the same seed gives the same
 * history. Nothing here depends on the machine's speed.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, type Log, type Random, type Timer, type World, nameAlphabet } from './world.ts';

export interface SimulatedWorldOptions {
  /** Epoch ms at the start; 2026-01-01T00:00:00Z when absent. */
  readonly startMs?: number;
  /** Keeps log lines for a test to read. */
  readonly onLog?: (level: string, component: string, message: string, fields: Readonly<Record<string, unknown>>) => void;
}

export interface SimulatedWorld extends World {
  /** Runs everything due within `ms` of virtual time, in order, letting pending promises finish between two timers. */
  advance(ms: number): Promise<void>;
  /** Runs timers until `done()` holds; throws when `limitMs` of virtual time pass first. */
  advanceUntil(done: () => boolean, limitMs?: number): Promise<void>;
  /** Timers not yet fired: zero after everything was closed. */
  pendingTimers(): number;
}

interface Entry {
  readonly id: number;
  atMs: number;
  readonly everyMs: number | undefined;
  readonly callback: () => void;
}

export function simulatedWorld(seed: number, options: SimulatedWorldOptions = {}): SimulatedWorld {
  let nowMs = options.startMs ?? Date.UTC(2026, 0, 1);
  let lastId = 0;
  const timers = new Map<number, Entry>();

  function add(ms: number, everyMs: number | undefined, callback: () => void): Timer {
    const id = ++lastId;
    timers.set(id, { id, atMs: nowMs + Math.max(0, ms), everyMs, callback });
    return { cancel: () => timers.delete(id) };
  }

  function nextDue(): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of timers.values()) {
      if (!first || entry.atMs < first.atMs || (entry.atMs === first.atMs && entry.id < first.id)) first = entry;
    }
    return first;
  }

  function fire(entry: Entry): void {
    nowMs = Math.max(nowMs, entry.atMs);
    if (entry.everyMs === undefined) timers.delete(entry.id);
    else entry.atMs = nowMs + Math.max(1, entry.everyMs);
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

  async function advanceUntil(done: () => boolean, limitMs = 3_600_000): Promise<void> {
    const endMs = nowMs + limitMs;
    await quiet();
    while (!done()) {
      const entry = nextDue();
      if (!entry || entry.atMs > endMs) throw new Error(`still not so after ${limitMs} ms of virtual time`);
      fire(entry);
      await quiet();
    }
  }

  return {
    clock,
    random: seededRandom(seed),
    log: recordingLog('', options.onLog),
    pendingTimers: () => timers.size,
    advanceUntil,
    async advance(ms) {
      const endMs = nowMs + ms;
      await quiet();
      for (let entry = nextDue(); entry && entry.atMs <= endMs; entry = nextDue()) {
        fire(entry);
        await quiet();
      }
      nowMs = endMs;
      await quiet();
    },
  };
}

/** Lets promises and immediates already under way finish. Two turns: one for what is queued, one for what that queued. */
async function quiet(): Promise<void> {
  await nextTurn();
  await nextTurn();
}

/** mulberry32: small, fast, and good enough to spread choices; never for secrets outside a simulation. */
function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (bound: number): number => Math.floor(next() * bound);
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => int(256)));
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

function recordingLog(component: string, onLog: SimulatedWorldOptions['onLog']): Log {
  const write =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      onLog?.(level, component, message, fields);
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (name) => recordingLog(component === '' ? name : `${component}/${name}`, onLog),
  };
}
