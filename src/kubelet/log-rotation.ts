/**
 * Keeps containers' logs from filling the disk: past 10 MiB a log is renamed away and the runtime begins a new one; of a container's log files five are
 * kept. The limits are upstream's `containerLogMaxSize` and `containerLogMaxFiles`; unlike there, a log that grows by more between two looks is looked at more
 * often, and what is kept of it stays within what five files of the limit would take.
 */
import { basename, dirname, join } from 'node:path';
import type { KubeletContext } from './context.ts';
import type { Disk } from './disk.ts';
import { messageOf } from './handler.ts';
import type { ContainerStatus } from './runtime/runtime.ts';

export interface LogLimits {
  readonly maxBytes: number;
  /** Of one container, with the one that is being written. */
  readonly maxFiles: number;
}

export const defaultLogLimits: LogLimits = { maxBytes: 10 * 2 ** 20, maxFiles: 5 };

const restMs = 2000;
/** A log that just grew past the limit may do so again soon: nothing else bounds what a flood takes of the disk. */
const floodRestMs = 100;

interface Logs {
  uids(): Iterable<string>;
  pod(uid: string): { readonly containers: readonly Pick<ContainerStatus, 'id' | 'state' | 'logPath'>[] };
}

/** Looks after all logs until the signal aborts; each round waits for the one before it. */
export async function keepLogsSmall(
  context: Parameters<typeof rotateLogs>[0],
  signal: AbortSignal,
  limits: LogLimits = defaultLogLimits,
): Promise<void> {
  const { clock, log } = context.world;
  let rotated = 0;
  while (!signal.aborted) {
    await clock.sleep(rotated > 0 ? floodRestMs : restMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      rotated = await rotateLogs(context, limits);
    } catch (error) {
      rotated = 0;
      log.warn('rotating logs failed', { error: messageOf(error) });
    }
  }
}

/** Answers how many it rotated. */
export async function rotateLogs(
  { observed, runtime, host, world }: Pick<KubeletContext, 'runtime' | 'host' | 'world'> & { observed: Logs },
  limits: LogLimits = defaultLogLimits,
): Promise<number> {
  const log = world.log.child('log-rotation');
  let count = 0;
  for (const uid of observed.uids()) {
    for (const { id, state, logPath } of observed.pod(uid).containers) {
      if (state !== 'running' || logPath === '' || (await host.disk.size(logPath)) <= limits.maxBytes) continue;
      try {
        await host.disk.rename(logPath, await freeName(host.disk, logPath, world.clock.now()));
        await runtime.reopenContainerLog(id);
        count++;
        await removeOldest(host.disk, logPath, limits);
      } catch (error) {
        log.warn('rotating a log failed', { path: logPath, error: messageOf(error) });
      }
    }
  }
  return count;
}

/** Of an instance that nobody asks for any more: the log and what of it was put aside. */
export async function removeLog(disk: Disk, logPath: string): Promise<void> {
  if (logPath === '') return;
  const [directory, name] = [dirname(logPath), basename(logPath)];
  for (const entry of await disk.list(directory)) {
    if (entry === name || entry.startsWith(`${name}.`)) await disk.removeTree(join(directory, entry));
  }
}

/** The log's name and the second; one that was renamed in this second already needs more digits, which sort behind. */
async function freeName(disk: Disk, logPath: string, nowMs: number): Promise<string> {
  const digits = new Date(nowMs).toISOString().replace(/[-:]/g, '').replace('T', '-');
  const second = `${logPath}.${digits.slice(0, 15)}`;
  const isTaken = (await disk.list(dirname(logPath))).some((name) => name.startsWith(basename(second)));
  return isTaken ? `${second}.${digits.slice(16, 19)}` : second;
}

/** The newest of the older files stays in any case. */
async function removeOldest(disk: Disk, logPath: string, { maxBytes, maxFiles }: LogLimits): Promise<void> {
  const directory = dirname(logPath);
  const older = (await disk.list(directory)).filter((name) => name.startsWith(`${basename(logPath)}.`)).sort();
  let [kept, bytes] = [0, 0];
  for (const name of older.reverse()) {
    const path = join(directory, name);
    bytes += await disk.size(path);
    if (kept > 0 && (kept === maxFiles - 1 || bytes > maxFiles * maxBytes)) await disk.removeTree(path);
    else kept++;
  }
}
