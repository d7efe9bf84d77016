/** Removes what was a pod's volume on this machine. */
import { rm } from 'node:fs/promises';

/** What is gone already counts as removed; a link is removed, not what it leads to. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}
