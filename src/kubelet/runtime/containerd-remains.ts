/**
 * What a containerd leaves behind when it is gone, and how to take it away: shims that outlive it (as they must, for containers to survive a restart),
 * the containers' processes, mounts and control groups.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { World } from '../../world/world.ts';

const run = promisify(execFile);

/** Ends every shim that was started for the containerd at this socket. */
export async function killShims(socket: string): Promise<void> {
  for (const pid of await shimsOf(socket)) kill(pid, 'SIGKILL');
}

/** Shims name their containerd's socket on their command line. */
export async function shimsOf(socket: string): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const command = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const address = command.indexOf('-address');
    if (/containerd-shim/.test(command[0] ?? '') && address > 0 && command[address + 1] === socket) pids.push(Number(name));
  }
  return pids;
}

/** Takes away every mount at or below the directory, the innermost first. Lazily: what still uses one keeps it until it ends. */
export async function unmountBelow(directory: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => unescapeMountPath(line.split(' ')[4] ?? ''))
    .filter((path) => path === directory || path.startsWith(`${directory}/`))
    .toReversed();
  // Command lines have a length; a few hundred paths fit well.
  for (let i = 0; i < mounts.length; i += 200) await run('umount', ['-l', ...mounts.slice(i, i + 200)]).catch(() => undefined);
}

/** Kills all processes in the control group and below, in every hierarchy (v1) or the one (v2), and removes the groups. */
export async function removeControlGroup(group: string, world: World): Promise<void> {
  const below = join('/', group);
  if (below === '/') throw new Error('the root control group cannot be removed');
  const roots = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[2] === 'cgroup' || fields[2] === 'cgroup2')
    .map((fields) => join(fields[1] ?? '', below))
    .filter((path) => existsSync(path));
  for (const root of roots) await killAllIn(root);
  for (const root of roots) await removeTree(root, world);
}

async function killAllIn(group: string): Promise<void> {
  const processes = await readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => '');
  for (const pid of processes.split('\n')) if (pid !== '') kill(Number(pid), 'SIGKILL');
  for (const child of await directoriesIn(group)) await killAllIn(child);
}

/** A killed process leaves its group a moment later; the kernel says busy until then. */
async function removeTree(group: string, world: World): Promise<void> {
  for (const child of await directoriesIn(group)) await removeTree(child, world);
  for (let tries = 0; tries < 200; tries++) {
    const error = await rmdir(group).then(
      () => undefined,
      (reason: NodeJS.ErrnoException) => reason,
    );
    if (error === undefined || error.code === 'ENOENT') return;
    if (error.code !== 'EBUSY') throw error;
    await killAllIn(group);
    await world.clock.sleep(10);
  }
  throw new Error(`control group ${group} still has processes`);
}

async function directoriesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(directory, entry.name));
}

/** The kernel writes blanks and backslashes in octal. */
function unescapeMountPath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
