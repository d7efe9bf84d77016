/** The log of a container whose runtime keeps it itself instead of in a file: the part that is asked for, and with `follow` what is added until it ends. */
import type { LogOptions } from './log-options.ts';
import { type FollowedContainer, LogFilter } from './log-reader.ts';

export interface KeptLogRequest {
  /** All there is of it, in the format of log files. It only ever grows. */
  readonly read: () => Promise<string>;
  readonly options: LogOptions;
  readonly container: FollowedContainer;
  readonly signal: AbortSignal;
}

export async function* readKeptLog({ read, options, container, signal }: KeptLogRequest): AsyncGenerator<Buffer> {
  const filter = new LogFilter(options);
  let shown: number | undefined;
  for (;;) {
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    const stopListening = container.onChange(resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    try {
      // Asked before reading: whatever a container that has ended wrote is there by then.
      const goesOn = options.follow && (await container.isRunning());
      const log = Buffer.from(await read());
      let rest: Buffer | undefined = log.subarray(shown ?? tailStart(log, options.tailLines));
      shown = log.length;
      yield* filter.takeAll({
        async next() {
          const lines = rest;
          rest = undefined;
          return lines;
        },
      });
      if (!goesOn || filter.full || signal.aborted) return;
      await changed;
    } finally {
      stopListening();
    }
  }
}

/** Where the last so many lines begin. */
function tailStart(log: Buffer, lines: number | undefined): number {
  if (lines === undefined) return 0;
  let start = log.length;
  for (let count = 0; count < lines && start > 0; count++) start = log.subarray(0, start - 1).lastIndexOf('\n') + 1;
  return start;
}
