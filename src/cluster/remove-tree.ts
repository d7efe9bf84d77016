/** Removes what was a pod's volume on this machine. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** What is gone already counts as removed; a link is removed, not what it leads to. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** The directory itself stays; one that is not there has nothing in it. */
export async function emptyTree(path: string): Promise<void> {
  const names = await readdir(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  await Promise.all(names.map((name) => removeTree(join(path, name))));
}
