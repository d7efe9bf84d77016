/** The world as it is: the system's clock, its randomness, and a log in JSON lines on a file or standard error. */
import { pino, type Logger } from 'pino';
import { systemClock, systemRandom } from './system.ts';
import type { Log, World } from './world.ts';

export interface RealWorldOptions {
  /** `debug`, `info` (default), `warn`, `error` or `silent`. */
  readonly level?: string;
  /** Where lines go; standard error when absent. */
  readonly logFile?: string;
}

/** So much is kept of what cannot be written (a full disk); the rest is dropped. */
const largestBacklog = 256 * 1024;

export function realWorld(options: RealWorldOptions = {}): World {
  const destination = pino.destination({ dest: options.logFile ?? 2, sync: true, mkdir: true, maxLength: largestBacklog });
  // A log that cannot be written is no reason to end.
  destination.on('error', () => undefined);
  const logger = pino({ level: options.level ?? 'info', base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return { clock: systemClock, random: systemRandom, log: pinoLog(logger) };
}

function pinoLog(logger: Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (component) => pinoLog(logger.child({ component })),
  };
}
