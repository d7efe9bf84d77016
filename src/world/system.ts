/** The system's own clock and randomness, as parts of a world. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { type Clock, type Log, type LogLevel, nameAlphabet, type OnLog, type Random, type Timer } from './world.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(asError(signal.reason));
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timeout);
        reject(asError(signal?.reason));
      };
      const timeout = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
  after(ms, callback): Timer {
    // Node fires at once for anything past 2^31-1 ms; such a timer is cut into hops.
    const longest = 2 ** 31 - 1;
    let timeout: NodeJS.Timeout;
    const arm = (left: number): void => {
      timeout = setTimeout(() => (left > longest ? arm(left - longest) : callback()), Math.min(left, longest));
      timeout.unref();
    };
    arm(ms);
    return { cancel: () => clearTimeout(timeout) };
  },
  every(ms, callback): Timer {
    const interval = setInterval(callback, ms);
    interval.unref();
    return { cancel: () => clearInterval(interval) };
  },
};

export const systemRandom: Random = {
  next: () => Math.random(),
  int: (bound) => randomInt(bound),
  uid: () => randomUUID(),
  name(length) {
    let name = '';
    for (let i = 0; i < length; i++) name += nameAlphabet.charAt(Math.floor(Math.random() * nameAlphabet.length));
    return name;
  },
  bytes: (length) => randomBytes(length),
};

/** Writes nothing. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

/** Hands every line to a function instead of writing it. */
export function tellingLog(onLog: OnLog, component = ''): Log {
  const write =
    (level: LogLevel) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      onLog(level, component, message, fields);
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (name) => tellingLog(onLog, component === '' ? name : `${component}/${name}`),
  };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
