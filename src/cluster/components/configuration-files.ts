/**
 * Files that may change while the API server runs: serving certificates, authorities, and the configurations of authentication, authorization and
 * encryption. What is new is taken when it can be used, and otherwise the old stays.
 */
import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { ApiServer } from '../../apiserver/api-server.ts';
import type { Timer, World } from '../../world/world.ts';

/** One thing that is followed. `read` throws for files that cannot be used. */
export interface Followed {
  /** For logs. */
  readonly name: string;
  readonly files: readonly string[];
  /** What the files hold, as text: only another text is taken. */
  readonly read: () => string;
  readonly take: (server: ApiServer) => void | Promise<void>;
}

/** In case nobody told: on some file systems, changes cannot be watched. */
const lookEveryMs = 10_000;
/** Files that belong together are written one after the other. */
const settleMs = 50;

/** Ends with what it answers. Folders are watched, not files: mounted ones are replaced by moving a link beside them. */
export function followFiles(followed: readonly Followed[], server: ApiServer, world: World): () => void {
  const looks = followed.map((one) => looking(one, server, world));
  const lookAtAll = (): void => {
    for (const look of looks) look().catch((error: unknown) => world.log.error('following a file failed', { error: String(error) }));
  };
  let soon: Timer | undefined;
  const lookSoon = (): void => {
    soon ??= world.clock.after(settleMs, () => {
      soon = undefined;
      lookAtAll();
    });
  };
  const timer = world.clock.every(lookEveryMs, lookAtAll);
  const folders = new Set(followed.flatMap(({ files }) => files.map((file) => dirname(file))));
  const watchers = [...folders].flatMap((folder) => watching(folder, lookSoon, world));
  return () => {
    timer.cancel();
    soon?.cancel();
    for (const watcher of watchers) watcher.close();
  };
}

/** None where the system does not let us: looking now and then has to do. */
function watching(folder: string, changed: () => void, world: World): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, changed);
    watcher.on('error', (error) => world.log.warn('a folder cannot be watched any more', { folder, error: error.message }));
    return [watcher];
  } catch (error) {
    world.log.debug('a folder cannot be watched', { folder, error: String(error) });
    return [];
  }
}

function looking({ name, read, take }: Followed, server: ApiServer, world: World): () => Promise<void> {
  let served = read();
  let complained = '';
  let busy = false;
  return async () => {
    if (busy) return;
    busy = true;
    try {
      const found = read();
      if (found === served) return;
      await take(server);
      served = found;
      complained = '';
      world.log.info('a changed file is in use', { what: name });
    } catch (error) {
      // Files that belong together are written one after the other: next time they may fit.
      if (String(error) !== complained) world.log.warn('a changed file cannot be used; what was there stays', { what: name, error: String(error) });
      complained = String(error);
    } finally {
      busy = false;
    }
  };
}
