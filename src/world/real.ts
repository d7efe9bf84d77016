/** The world as it is: the system's clock, its randomness, and a log in JSON lines on a file or standard error. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { pino, type Logger } from 'pino';
import { type Clock, type Log, type Random, type Timer, type World, nameAlphabet } from './world.ts';

export interface RealWorldOptions {
  /** `debug`, `info` (default), `warn`, `error` or `silent`. */
  readonly level?: string;
  /** Where lines go; standard error when absent. */
  readonly logFile?: string;
}

export function realWorld(options: RealWorldOptions = {}): World {
  const destination = pino.destination({ dest: options.logFile ?? 2, sync: true, mkdir: true });
  const logger = pino({ level: options.level ?? 'info', base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return { clock: systemClock, random: systemRandom, log: pinoLog(logger) };
}

const systemClock: Clock = {
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

const systemRandom: Random = {
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

function pinoLog(logger: Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (component) => pinoLog(logger.child({ component })),
  };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
