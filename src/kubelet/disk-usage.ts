/** How much a directory holds: blocks on the disk and inodes, without following links or crossing into other file systems. Hard links count once. */
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

export interface DiskUsage {
  readonly bytes: number;
  readonly inodes: number;
}

export async function diskUsage(path: string): Promise<DiskUsage> {
  let bytes = 0;
  const inodes = new Set<number>();
  const root = await lstat(path).catch(() => undefined);
  if (!root) return { bytes: 0, inodes: 0 };
  const left = [path];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    // What goes away while it is counted is not counted.
    const found = await lstat(next).catch(() => undefined);
    if (!found || found.dev !== root.dev || inodes.has(found.ino)) continue;
    inodes.add(found.ino);
    bytes += found.blocks * 512;
    if (!found.isDirectory()) continue;
    const directory = await opendir(next).catch(() => undefined);
    if (directory) for await (const { name } of directory) left.push(join(next, name));
  }
  return { bytes, inodes: inodes.size };
}
