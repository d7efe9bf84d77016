/** How much lies in a directory: walked as `du` does, and remembered for a minute, as upstream does: a walk through a large volume is not cheap. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../world/world.ts';
import type { DirectoryUsage } from './usage.ts';

const rememberMs = 60_000;
const blockBytes = 512;

export class DirectoryUsages {
  readonly #clock: Clock;
  readonly #known = new Map<string, Promise<DirectoryUsage | undefined>>();
  readonly #walkedMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined for a directory that is not there. */
  of(path: string): Promise<DirectoryUsage | undefined> {
    const nowMs = this.#clock.now();
    this.#forget(nowMs);
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const walk = this.#walk(path, nowMs);
    this.#known.set(path, walk);
    this.#walkedMs.set(path, nowMs);
    return walk;
  }

  #forget(nowMs: number): void {
    for (const [path, walkedMs] of this.#walkedMs) {
      if (nowMs - walkedMs < rememberMs) continue;
      this.#walkedMs.delete(path);
      this.#known.delete(path);
    }
  }

  async #walk(path: string, timeMs: number): Promise<DirectoryUsage | undefined> {
    const seen = new Set<string>();
    let [usedBytes, inodesUsed] = [0, 0];
    const add = async (entry: string): Promise<boolean> => {
      const found = await lstat(entry).catch(() => undefined);
      if (found === undefined) return false;
      const { blocks, dev, ino, nlink } = found;
      const inode = `${dev}:${ino}`;
      // A file with several names is there once.
      if (nlink > 1 && !found.isDirectory() && seen.has(inode)) return true;
      if (nlink > 1) seen.add(inode);
      usedBytes += blocks * blockBytes;
      inodesUsed++;
      if (!found.isDirectory()) return true;
      for (const child of await readdir(entry).catch(() => [])) await add(join(entry, child));
      return true;
    };
    return (await add(path)) ? { timeMs, usedBytes, inodesUsed } : undefined;
  }
}
