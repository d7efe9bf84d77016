/** What the kernel says of a process: whether it lives, and whether it is still the one that had this id before. */
import { readdirSync, readFileSync } from 'node:fs';

/** A process, told apart from a later one with the same id. */
export interface KnownProcess {
  readonly pid: number;
  /** Clock ticks since boot, from /proc. */
  readonly startTicks: string;
}

/** The kernel's mark on a process on its way out. */
const exiting = 0x4;

/** The process as it is now, to be known again by. */
export function knownProcess(pid: number): KnownProcess {
  return { pid, startTicks: stateOf(pid)?.startTicks ?? '' };
}

/** It runs, and was not told to die. */
export function isAlive({ pid, startTicks }: KnownProcess): boolean {
  const state = stateOf(pid);
  return state !== undefined && !state.dying && state.startTicks === startTicks;
}

/** Something of it still runs, be it on its way out. */
export function lingers({ pid, startTicks }: KnownProcess): boolean {
  return threadsOf(pid) > 0 && stateOf(pid)?.startTicks === startTicks;
}

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
