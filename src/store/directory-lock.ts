/**
 * One process per data directory. The lock is a file that names its holder by process id and start time, so that one left behind by a killed
 * process, or by a process id that came round again, is told from a live one.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { StoreFailure } from './store.ts';

export interface DirectoryLock {
  release(): void;
}

const attempts = 10;

/** Throws {@link StoreFailure} when another live process, or this one, holds the directory. `nonce` keeps temporary names apart. */
export function lockDirectory(directory: string, nonce: string): DirectoryLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'owner.pid');
  const mine = `${path}.${nonce}`;
  const content = `${process.pid} ${startTime(process.pid) ?? '-'} ${nonce}\n`;
  writeFileSync(mine, content, { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (tryLink(mine, path)) return { release: () => releaseIfMine(path, content) };
      const holder = readIfThere(path);
      if (holder === undefined) continue;
      const pid = livePid(holder);
      if (pid !== undefined) {
        const who = pid === process.pid ? 'this process' : `process ${pid}`;
        throw new StoreFailure(`the data directory ${directory} is in use by ${who}: stop it first, or choose another directory`);
      }
      takeAway(path, holder, `${mine}.stale`);
    }
    throw new StoreFailure(`the data directory ${directory} could not be locked: ${path} keeps changing`);
  } finally {
    unlinkSync(mine);
  }
}

/** Makes `path` another name of `file`, unless it is taken: the one step of locking that is atomic. */
function tryLink(file: string, path: string): boolean {
  try {
    linkSync(file, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a stale lock; if someone else replaced it since it was read, puts theirs back. */
function takeAway(path: string, stale: string, aside: string): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if (readIfThere(aside) !== stale) tryLink(aside, path);
  unlinkSync(aside);
}

function releaseIfMine(path: string, content: string): void {
  if (readIfThere(path) === content) unlinkSync(path);
}

function livePid(content: string): number | undefined {
  const [pidText = '', started = '-'] = content.trim().split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, under another user.
    if (codeOf(error) === 'ESRCH') return undefined;
  }
  if (hasEnded(pid)) return undefined;
  const startedNow = startTime(pid);
  return startedNow !== undefined && started !== '-' && startedNow !== started ? undefined : pid;
}

/** Dead, all of its threads, and only not yet waited for by its parent. */
function hasEnded(pid: number): boolean {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined || stat[stat.lastIndexOf(')') + 2] !== 'Z') return false;
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true;
  }
}

/** In clock ticks since boot, from /proc; undefined where there is none. */
function startTime(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  // The second field is the program's name in brackets and may hold blanks; the 22nd of all is the start time.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
