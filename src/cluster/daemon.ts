/**
 * Background processes: started detached with a log file, known by a file with their process id, stopped by it. A daemon tells its starter how it
 * goes over a pipe (lines of JSON), so nobody polls for readiness.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { World } from '../world/world.ts';
import { ClusterError, writeAtomically } from './config.ts';
import { layoutOf } from './layout.ts';

export type DaemonName = 'control-plane' | 'node-agent';

export type DaemonNews = { readonly progress: string } | { readonly ready: true } | { readonly error: string };

/**
 * V8's room for young objects, in MiB. The control plane starts with room enough that loading its modules is not interrupted by collections: the API is
 * there a tenth sooner, for 20 MiB. The node agent, which shares its machine with the pods, collects early (after forty pods it is a third smaller for it).
 */
const engineFlags: Readonly<Record<DaemonName, readonly string[]>> = {
  'control-plane': ['--min-semi-space-size=16'],
  'node-agent': ['--max-semi-space-size=2', '--heap-growing-percent=30'],
};

/**
 * For the C library: large blocks are the kernel's again as soon as they are free. Images and streams pass through the node agent in pieces of 64 KiB; kept by
 * the library, they were a third of its memory.
 */
const libraryVariables: Readonly<Record<string, string>> = { MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '131072' };

/** The pipe a daemon speaks to its starter on, by file descriptor. */
const newsDescriptor = 3;

interface Recorded {
  readonly pid: number;
  /** Clock ticks since boot, from /proc: tells a process from a later one with the same id. */
  readonly startTicks: string;
}

/** The process id of a daemon that runs; undefined when it does not, whatever an old file says. */
export function runningDaemon(dataDir: string, name: DaemonName): number | undefined {
  const recorded = recordedOf(dataDir, name);
  const state = recorded && stateOf(recorded.pid);
  return state && !state.dying && state.startTicks === recorded.startTicks ? recorded.pid : undefined;
}

function recordedOf(dataDir: string, name: DaemonName): Recorded | undefined {
  try {
    return JSON.parse(readFileSync(pidPath(dataDir, name), 'utf8')) as Recorded;
  } catch {
    // None yet, or a torn one: nobody can be found by it.
    return undefined;
  }
}

/** A daemon on its way. */
export interface StartedDaemon {
  /** Resolves when it says it is ready; rejects with {@link ClusterError} holding its own words when it fails first. */
  readonly ready: Promise<void>;
  /** Aborted with a {@link ClusterError} when it ends, before or after that. */
  readonly ended: AbortSignal;
}

/**
 * Starts `k8ts <name> --data-dir D` in the background. Resolves as soon as the process runs: what its caller does next happens beside its start. `within` is a
 * command that becomes the daemon, such as `nsenter` with its arguments.
 */
export async function startDaemon(
  dataDir: string,
  name: DaemonName,
  world: World,
  onProgress: (text: string) => void,
  within: readonly string[] = [],
): Promise<StartedDaemon> {
  await previousGone(dataDir, name, world);
  return spawnDaemon(dataDir, name, onProgress, within);
}

/** A process that was killed a moment ago may still be on its way out, with the store's files and its port in its hands: waits for its end. */
export async function previousGone(dataDir: string, name: DaemonName, world: World): Promise<void> {
  const recorded = recordedOf(dataDir, name);
  const deadline = world.clock.now() + 5_000;
  while (recorded && threadsOf(recorded.pid) > 0 && stateOf(recorded.pid)?.startTicks === recorded.startTicks && world.clock.now() < deadline) {
    await world.clock.sleep(10);
  }
}

function spawnDaemon(dataDir: string, name: DaemonName, onProgress: (text: string) => void, within: readonly string[]): StartedDaemon {
  const layout = layoutOf(dataDir);
  mkdirSync(layout.logs, { recursive: true });
  mkdirSync(layout.run, { recursive: true });
  const logPath = join(layout.logs, `${name}.log`);
  const log = openSync(logPath, 'a');
  const program = process.argv[1];
  if (program === undefined) throw new ClusterError('cannot tell which program to start in the background');
  const [command, ...words] = [...within, process.execPath, ...process.execArgv, ...engineFlags[name], program, name];
  const child = spawn(command, [...words, '--data-dir', dataDir], {
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
    cwd: '/',
    ...(name === 'node-agent' && { env: { ...process.env, ...libraryVariables } }),
  });
  closeSync(log);
  child.unref();
  const end = new AbortController();
  child.on('exit', () => end.abort(new ClusterError(`${name} ended unexpectedly; its log is ${logPath}`)));
  const ready = new Promise<void>((resolve, reject) => {
    child.on('error', (error) => reject(new ClusterError(`${name} could not be started: ${error.message}`)));
    const pipe = child.stdio[newsDescriptor] as Readable;
    const lines = createInterface({ input: pipe });
    const finish = (error: ClusterError | undefined): void => {
      if (error) reject(error);
      else resolve();
      lines.close();
      pipe.destroy();
    };
    lines.on('line', (line) => {
      const news = JSON.parse(line) as DaemonNews;
      if ('progress' in news) onProgress(news.progress);
      else finish('error' in news ? new ClusterError(news.error) : undefined);
    });
    lines.on('close', () => reject(new ClusterError(`${name} ended before it was ready; its log is ${logPath}`)));
  });
  return { ready, ended: end.signal };
}

/** In the daemon: writes its process id and answers how to tell the starter; telling does nothing when nobody listens. */
export function announceDaemon(dataDir: string, name: DaemonName): (news: DaemonNews) => void {
  const { run } = layoutOf(dataDir);
  mkdirSync(run, { recursive: true });
  const recorded: Recorded = { pid: process.pid, startTicks: stateOf(process.pid)?.startTicks ?? '' };
  writeAtomically(pidPath(dataDir, name), JSON.stringify(recorded));
  let open = true;
  return (news) => {
    if (!open) return;
    try {
      writeSync(newsDescriptor, `${JSON.stringify(news)}\n`);
      if ('progress' in news) return;
      open = false;
      closeSync(newsDescriptor);
    } catch {
      open = false;
    }
  };
}

/** Asks the daemon to end, and ends it when it does not within `patienceMs`. True when it ran. */
export async function stopDaemon(dataDir: string, name: DaemonName, world: World, patienceMs = 10_000): Promise<boolean> {
  const pid = runningDaemon(dataDir, name);
  if (pid === undefined) return false;
  process.kill(pid, 'SIGTERM');
  const deadline = world.clock.now() + patienceMs;
  while (runningDaemon(dataDir, name) !== undefined) {
    if (world.clock.now() > deadline) process.kill(pid, 'SIGKILL');
    await world.clock.sleep(20);
  }
  rmSync(pidPath(dataDir, name), { force: true });
  return true;
}

/** Ends the daemon without a word. */
export function killDaemon(dataDir: string, name: DaemonName): void {
  const pid = runningDaemon(dataDir, name);
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  rmSync(pidPath(dataDir, name), { force: true });
}

function pidPath(dataDir: string, name: DaemonName): string {
  return join(layoutOf(dataDir).run, `${name}.json`);
}

/** The kernel's mark on a process on its way out. */
const exiting = 0x4;

/** From fields 3, 9 and 22 of /proc/PID/stat, counted after the command name, which may hold spaces; undefined for a process that is gone. */
function stateOf(pid: number): { readonly startTicks: string; readonly dying: boolean } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const dying = fields[0] === 'Z' || fields[0] === 'X' || (Number(fields[6]) & exiting) !== 0 || killPending(pid);
    return { startTicks: fields[19] ?? '', dying };
  } catch {
    return undefined;
  }
}

/** Signal 9 was sent and is yet to strike. */
function killPending(pid: number): boolean {
  const masks = readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm);
  return [...masks].some((mask) => (BigInt(`0x${mask[1] ?? '0'}`) & 0x100n) !== 0n);
}

/** Threads that still run; a zombie without any is only a name. */
function threadsOf(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`).length;
    return threads === 1 && stateOf(pid)?.dying === true ? 0 : threads;
  } catch {
    return 0;
  }
}
