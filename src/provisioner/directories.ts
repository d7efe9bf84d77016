/** The directories behind volumes: one for each, below one root on the node. Behind an interface, as simulated nodes have no disk. */
import { chmod, mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

export interface Directories {
  /** Where the volume's directory is, or would be. */
  pathOf(name: string): string;
  /** What is there. */
  list(): Promise<readonly string[]>;
  /** Makes it when it is missing; anyone may write there, as no one knows yet who will. */
  make(path: string): Promise<void>;
  /** Gone already counts as removed. Throws for a path that is not one of these directories. */
  remove(path: string): Promise<void>;
  /** Removes it unless something is in it. */
  removeIfEmpty(path: string): Promise<void>;
}

export function realDirectories(root: string): Directories {
  const top = resolve(root);
  const check = (path: string): string => {
    if (dirname(resolve(path)) !== top || resolve(path) !== path) throw new Error(`${path} is no volume's directory in ${top}`);
    return path;
  };
  return {
    pathOf: (name) => join(top, name),
    async list() {
      try {
        return await readdir(top);
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return [];
        throw error;
      }
    },
    async make(path) {
      await mkdir(check(path), { recursive: true });
      await chmod(path, 0o777);
    },
    remove: (path) => rm(check(path), { recursive: true, force: true }),
    async removeIfEmpty(path) {
      try {
        await rmdir(check(path));
      } catch (error) {
        if (!hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error;
      }
    },
  };
}

export function simulatedDirectories(root: string): Directories {
  return { pathOf: (name) => join(root, name), list: async () => [], make: async () => {}, remove: async () => {}, removeIfEmpty: async () => {} };
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
