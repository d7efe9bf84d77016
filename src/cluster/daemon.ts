/**
 * Background processes: started detached with a log file, known by a file with their process id, stopped by it, started again when they die. A daemon tells
 * its starter how it goes over a pipe (lines of JSON), so nobody polls for readiness.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, watch, writeSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { World } from '../world/world.ts';
import { ClusterError, writeAtomically } from './config.ts';
import { layoutOf } from './layout.ts';
import { type KnownProcess, isAlive, knownProcess, lingers } from './process-state.ts';

export type DaemonName = 'control-plane' | 'node-agent';

export type DaemonNews = { readonly progress: string } | { readonly ready: true } | { readonly error: string };

/**
 * V8's room for young objects, in MiB. The control plane starts with room enough that loading its modules is not interrupted by collections: the API is
 * there a tenth sooner, for 20 MiB. The node agent, which shares its machine with the pods, collects early (after forty pods it is a third smaller for it), and
 * does without the last compiler, whose code and work are 8 MiB: a DNS answer takes 22 µs for 17, a pod's start is the same.
 */
const engineFlags: Readonly<Record<DaemonName, readonly string[]>> = {
  'control-plane': ['--expose-gc', '--min-semi-space-size=16'],
  'node-agent': ['--expose-gc', '--max-semi-space-size=2', '--heap-growing-percent=30', '--v8-pool-size=1', '--max-opt=2'],
};

/**
 * For the C library: large blocks are the kernel's again as soon as they are free. Images and streams pass through the node agent in pieces of 64 KiB; kept by
 * the library, they were a third of its memory.
 */
const libraryVariables: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** The pipe a daemon speaks to its starter on, by file descriptor. */
const newsDescriptor = 3;

/** What a daemon writes of itself; `supervise.sh` reads `ready`. */
interface Recorded extends KnownProcess {
  /** Starts it again when it dies. */
  readonly supervisor?: KnownProcess;
  /** How often it was started again before. */
  readonly attempt: number;
  readonly ready: boolean;
}

/**
 * The process id of a daemon that runs; undefined when it does not, whatever an old file says. One that died and is on its way back does not count: whoever
 * starts it now knows when it is ready.
 */
export function runningDaemon(dataDir: string, name: DaemonName): number | undefined {
  const recorded = recordedOf(dataDir, name);
  const counts = recorded && isAlive(recorded) && (recorded.ready || recorded.attempt === 0);
  return counts ? recorded.pid : undefined;
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
  endSupervision(dataDir, name);
  const recorded = recordedOf(dataDir, name);
  const deadline = world.clock.now() + 5_000;
  while (recorded && lingers(recorded) && world.clock.now() < deadline) await world.clock.sleep(10);
}

/** From now on nobody starts it again. True when someone would have. */
function endSupervision(dataDir: string, name: DaemonName): boolean {
  const supervisor = recordedOf(dataDir, name)?.supervisor;
  if (!supervisor || !isAlive(supervisor)) return false;
  // What it is about to start belongs to its process group; a daemon that runs is ended by other means.
  try {
    process.kill(runningDaemon(dataDir, name) === undefined ? -supervisor.pid : supervisor.pid, 'SIGKILL');
  } catch {
    // It ended by itself just now.
  }
  return true;
}

function spawnDaemon(dataDir: string, name: DaemonName, onProgress: (text: string) => void, within: readonly string[]): StartedDaemon {
  const layout = layoutOf(dataDir);
  mkdirSync(layout.logs, { recursive: true });
  mkdirSync(layout.run, { recursive: true });
  const logPath = join(layout.logs, `${name}.log`);
  const log = openSync(logPath, 'a');
  // What it says of itself is not to be mistaken for what the one before it said.
  rmSync(pidPath(dataDir, name), { force: true });
  const supervised = ['/bin/sh', join(import.meta.dirname, 'supervise.sh'), pidPath(dataDir, name), dataDir];
  const program = [process.execPath, ...process.execArgv, ...engineFlags[name], daemonProgram(), name, '--data-dir', dataDir];
  const [command = '', ...words] = [...within, ...supervised, ...program];
  const child = spawn(command, words, {
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
  const attempt = process.env['K8TS_ATTEMPT'];
  const supervisor = attempt === undefined ? {} : { supervisor: knownProcess(process.ppid) };
  const record = (ready: boolean): void => {
    const recorded: Recorded = { ...knownProcess(process.pid), ...supervisor, attempt: Number(attempt ?? 0), ready };
    writeAtomically(pidPath(dataDir, name), JSON.stringify(recorded));
  };
  record(false);
  let open = true;
  return (news) => {
    if ('ready' in news) record(true);
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

/**
 * In the daemon: calls back when its own record is gone, which nobody removes while it lives but with all of the cluster's files. Answers the way to stop.
 */
export function onRecordRemoved(dataDir: string, name: DaemonName, callback: () => void): () => void {
  const path = pidPath(dataDir, name);
  const watcher = watch(dirname(path), { persistent: false }, () => {
    if (existsSync(path)) return;
    watcher.close();
    callback();
  });
  watcher.on('error', () => undefined);
  return () => watcher.close();
}

/** Asks the daemon to end, and ends it when it does not within `patienceMs`. True when it ran. */
export async function stopDaemon(dataDir: string, name: DaemonName, world: World, patienceMs = 10_000): Promise<boolean> {
  const wasSupervised = endSupervision(dataDir, name);
  const pid = runningDaemon(dataDir, name);
  if (pid === undefined) {
    rmSync(pidPath(dataDir, name), { force: true });
    return wasSupervised;
  }
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
  endSupervision(dataDir, name);
  const pid = runningDaemon(dataDir, name);
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  rmSync(pidPath(dataDir, name), { force: true });
}

function pidPath(dataDir: string, name: DaemonName): string {
  return join(layoutOf(dataDir).run, `${name}.json`);
}

/** Beside the command line's: `src/bin/daemon.ts`, or `dist/daemon.js`. */
function daemonProgram(): string {
  const program = process.argv[1];
  if (program === undefined) throw new ClusterError('cannot tell which program to start in the background');
  return join(dirname(program), `daemon${extname(program)}`);
}
