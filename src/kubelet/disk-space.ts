/** How much room a file system has: for volumes, for stats and for whoever has to make room. */
import { statfs } from 'node:fs/promises';

export interface DiskSpace {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly usedBytes: number;
  readonly inodes: number;
  readonly inodesFree: number;
  readonly inodesUsed: number;
}

/** Of the file system that the path lies on; undefined when it cannot be asked. */
export async function diskSpace(path: string): Promise<DiskSpace | undefined> {
  try {
    const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(path);
    return {
      capacityBytes: blocks * bsize,
      availableBytes: bavail * bsize,
      usedBytes: (blocks - bfree) * bsize,
      inodes: files,
      inodesFree: ffree,
      inodesUsed: files - ffree,
    };
  } catch {
    return undefined;
  }
}
