/** One command at a time does something to a node: who comes later waits, and then looks at what the earlier one made of it. */
import { rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { type DirectoryLock, lockDirectory } from '../../store/directory-lock.ts';
import { StoreFailure } from '../../store/store.ts';
import type { World } from '../../world/world.ts';
import { type ClusterConfig, ClusterError } from '../config.ts';
import { layoutOf } from '../layout.ts';

/** Longer than starting and stopping a node may take together. */
const patienceMs = 180_000;
const pauseMs = 50;

/** Of several names the locks are taken in order of name, so that two commands never wait for each other. Throws {@link ClusterError} when it takes too long. */
export async function withNodeLocks<T>({ dataDir }: ClusterConfig, names: readonly string[], world: World, act: () => Promise<T>): Promise<T> {
  const held: { readonly directory: string; readonly lock: DirectoryLock }[] = [];
  const deadline = world.clock.now() + patienceMs;
  try {
    for (const name of [...new Set(names)].sort()) {
      const directory = join(layoutOf(dataDir).run, `node-${name}`);
      let lock = tryLock(directory, world);
      while (lock === undefined) {
        if (world.clock.now() > deadline) throw new ClusterError(`another command is at work on the node ${name}: try again when it has ended`);
        await world.clock.sleep(pauseMs);
        lock = tryLock(directory, world);
      }
      held.push({ directory, lock });
    }
    return await act();
  } finally {
    for (const { directory, lock } of held) {
      lock.release();
      forget(directory);
    }
  }
}

/** An empty directory is nobody's; one who waits has something in it, or makes it again. */
function forget(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Somebody waits.
  }
}

/** Undefined while another process holds it. */
function tryLock(directory: string, world: World): DirectoryLock | undefined {
  try {
    return lockDirectory(directory, world.random.uid());
  } catch (error) {
    if (error instanceof StoreFailure || (error instanceof Error && 'code' in error && error.code === 'ENOENT')) return undefined;
    throw error;
  }
}
