/** The files a node's own pods are read from: a directory, or one file. Told of at once where the file system tells, and looked at every 20 s. */
import { type FSWatcher, watch } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Timer, World } from '../../world/world.ts';
import type { ManifestSource } from './manifest.ts';

export interface Manifests {
  /** Sorted by path. Throws when the place itself cannot be read; a place that is not there is empty. */
  read(): Promise<readonly ManifestSource[]>;
  /** Calls when something may have changed, until the answer is called. */
  watch(onChange: () => void): () => void;
}

/** Upstream's `fileCheckFrequency`. */
const lookEveryMs = 20_000;
/** An editor writes a file in several steps. */
const settleMs = 50;

export function manifestDirectory(path: string, world: World): Manifests {
  async function read(): Promise<readonly ManifestSource[]> {
    const found = await stat(path).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (!found) return [];
    if (!found.isDirectory()) return [{ path, text: await readFile(path, 'utf8') }];
    const names = (await readdir(path)).filter((name) => !name.startsWith('.')).sort();
    const all = await Promise.all(names.map((name) => readManifest(join(path, name))));
    return all.flatMap((manifest) => manifest ?? []);
  }

  return {
    read,
    watch(onChange) {
      let soon: Timer | undefined;
      const later = (): void => {
        soon ??= world.clock.after(settleMs, () => {
          soon = undefined;
          onChange();
        });
      };
      let watcher: FSWatcher | undefined;
      let watched = '';
      // A place that is not there yet is looked for now and then; once it is, it tells by itself.
      const attach = (): void => {
        if (watcher) return;
        for (const place of [path, dirname(path)]) {
          try {
            watcher = watch(place, { persistent: false }, later);
            watched = place;
            watcher.on('error', detach);
            return;
          } catch (error) {
            world.log.debug('a place for manifests cannot be watched', { place, error: String(error) });
          }
        }
      };
      const detach = (): void => {
        watcher?.close();
        watcher = undefined;
      };
      attach();
      const timer = world.clock.every(lookEveryMs, () => {
        if (watched !== path) detach();
        attach();
        onChange();
      });
      return () => {
        timer.cancel();
        soon?.cancel();
        detach();
      };
    },
  };
}

/** Undefined for what is no file, or went away meanwhile. */
async function readManifest(path: string): Promise<ManifestSource | undefined> {
  try {
    if (!(await stat(path)).isFile()) return undefined;
    return { path, text: await readFile(path, 'utf8') };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
