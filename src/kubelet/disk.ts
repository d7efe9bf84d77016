/**
 * The few things a kubelet does to the node's file system: directories and files of pods, memory mounts, atomic volumes. Behind an interface so
 * that simulated nodes, of which one process may have thousands, leave the disk alone.
 */
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readFile,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bindWithin } from './volumes/bind-within.ts';
import { isMissing, mountPoints, run } from './volumes/mounts.ts';
import { type DiskSpace, diskSpace } from './disk-space.ts';

export interface VolumeFile {
  readonly content: Buffer;
  readonly mode: number;
  /** Owner, when not root. */
  readonly uid?: number;
}

/** What is to be mounted: `mount -t <type> -o <options> <source>`. */
export interface MountPlan {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export type PathKind = 'absent' | 'directory' | 'file' | 'socket' | 'character-device' | 'block-device';

export interface Disk {
  /** False for one that only pretends: what would be written need not be worked out first. */
  readonly keeps: boolean;
  makeDir(path: string, mode: number, owner?: { uid?: number; gid?: number }): Promise<void>;
  /** Whole content of a small file; makes its directory. */
  writeFile(path: string, text: string, mode: number): Promise<void>;
  /** Undefined when absent. At most the last `maxBytes`. */
  readTail(path: string, maxBytes: number): Promise<string | undefined>;
  kind(path: string): Promise<PathKind>;
  /**
   * Replaces all files of a volume at once, as upstream's atomic writer: the files live in a dated directory, `..data` is a link to it that is
   * swapped by rename, and each top-level name is a link through `..data`. True when anything changed.
   */
  writeVolume(path: string, files: ReadonlyMap<string, VolumeFile>, gid: number | undefined): Promise<boolean>;
  /** Gives a directory and what is in it to a group, as fsGroup wants. */
  chownTree(path: string, gid: number): Promise<void>;
  /** Whether {@link chownTree} was there before, as far as the root shows. */
  belongsTo(path: string, gid: number): Promise<boolean>;
  mountTmpfs(path: string, options: { readonly sizeBytes?: number; readonly mode: number }): Promise<void>;
  /** Makes the directory and mounts there; nothing when something is mounted there already. */
  mount(plan: MountPlan, path: string): Promise<void>;
  isMounted(path: string): Promise<boolean>;
  /**
   * Mounts what is at a path inside a volume at `target`, made as a directory when it is missing. Nobody who writes in the volume meanwhile can make it lead
   * out of there. Answers `target`; throws when the path leads out of the volume.
   */
  bindWithin(root: string, path: string, target: string): Promise<string>;
  /** Unmounts everything mounted at or below. */
  unmountBelow(path: string): Promise<void>;
  removeTree(path: string): Promise<void>;
  /** Nothing when it is not there; throws when something is in it or mounted on it. */
  removeEmptyDir(path: string): Promise<void>;
  list(path: string): Promise<readonly string[]>;
  /** Of the file system that the path lies on; undefined when it cannot be asked. */
  space(path: string): Promise<DiskSpace | undefined>;
  /** In bytes; 0 when absent. */
  size(path: string): Promise<number>;
  rename(from: string, to: string): Promise<void>;
  /** With every link followed. */
  realPath(path: string): Promise<string>;
}

export function realDisk(): Disk {
  return {
    keeps: true,
    async makeDir(path, mode, owner) {
      await mkdir(path, { recursive: true });
      await chmod(path, mode);
      if (owner?.uid !== undefined || owner?.gid !== undefined) await chown(path, owner.uid ?? 0, owner.gid ?? 0);
    },
    async writeFile(path, text, mode) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text, { mode });
      await chmod(path, mode);
    },
    async readTail(path, maxBytes) {
      try {
        const file = await open(path, 'r');
        try {
          const { size } = await file.stat();
          const length = Math.min(size, maxBytes);
          const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
          return buffer.toString('utf8', 0, bytesRead);
        } finally {
          await file.close();
        }
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async kind(path) {
      try {
        const found = await stat(path);
        if (found.isDirectory()) return 'directory';
        if (found.isSocket()) return 'socket';
        if (found.isCharacterDevice()) return 'character-device';
        if (found.isBlockDevice()) return 'block-device';
        return 'file';
      } catch (error) {
        if (isMissing(error)) return 'absent';
        throw error;
      }
    },
    writeVolume,
    async chownTree(path, gid) {
      for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
        await own(join(entry.parentPath, entry.name), gid);
      }
      await own(path, gid);
    },
    async belongsTo(path, gid) {
      const found = await stat(path);
      return found.gid === gid && (found.mode & 0o2770) === 0o2770;
    },
    async mount({ type, source, options }, path) {
      await mkdir(path, { recursive: true });
      if ((await mountPoints()).includes(path)) return;
      await run('mount', ['-t', type, ...(options.length === 0 ? [] : ['-o', options.join(',')]), source, path]);
    },
    isMounted: async (path) => (await mountPoints()).includes(path),
    bindWithin,
    async mountTmpfs(path, { sizeBytes, mode }) {
      await mkdir(path, { recursive: true });
      if ((await mountPoints()).includes(path)) return;
      const options = [`mode=${mode.toString(8)}`, ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`])].join(',');
      await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
    },
    async unmountBelow(path) {
      const below = (await mountPoints()).filter((point) => point === path || point.startsWith(`${path}/`));
      for (const point of below.toReversed()) await run('umount', [point]);
    },
    removeTree: (path) => rm(path, { recursive: true, force: true }),
    async removeEmptyDir(path) {
      try {
        await rmdir(path);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    },
    space: diskSpace,
    async size(path) {
      try {
        return (await stat(path)).size;
      } catch (error) {
        if (isMissing(error)) return 0;
        throw error;
      }
    },
    rename: (from, to) => rename(from, to),
    realPath: (path) => realpath(path),
    async list(path) {
      try {
        return await readdir(path);
      } catch (error) {
        if (isMissing(error)) return [];
        throw error;
      }
    },
  };
}

/** Remembers nothing: a simulated node has no files. */
export function simulatedDisk(): Disk {
  return {
    keeps: false,
    makeDir: async () => {},
    writeFile: async () => {},
    readTail: async () => undefined,
    kind: async () => 'directory',
    writeVolume: async () => false,
    chownTree: async () => {},
    belongsTo: async () => true,
    mountTmpfs: async () => {},
    mount: async () => {},
    isMounted: async () => false,
    bindWithin: async (root, path) => join(root, path),
    unmountBelow: async () => {},
    removeTree: async () => {},
    removeEmptyDir: async () => {},
    list: async () => [],
    space: async () => undefined,
    size: async () => 0,
    rename: async () => {},
    realPath: async (path) => path,
  };
}

async function writeVolume(path: string, files: ReadonlyMap<string, VolumeFile>, gid: number | undefined): Promise<boolean> {
  const old = await linkTarget(join(path, '..data'));
  if (old !== undefined && (await holdsExactly(join(path, old), files))) return false;
  const fresh = await mkdtemp(join(path, '..k8ts_'));
  const name = basename(fresh);
  try {
    await writeFiles(fresh, files, gid);
  } catch (error) {
    // A full disk: what was there before stays, and what was begun makes room.
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
  await rm(join(path, '..data_tmp'), { force: true });
  await symlink(name, join(path, '..data_tmp'));
  await rename(join(path, '..data_tmp'), join(path, '..data'));
  const wanted = new Set([...files.keys()].map((relative) => relative.split('/')[0] ?? relative));
  for (const top of wanted) if ((await linkTarget(join(path, top))) === undefined) await symlink(join('..data', top), join(path, top));
  for (const entry of await readdir(path))
    if (!entry.startsWith('..') && !wanted.has(entry)) await rm(join(path, entry), { recursive: true, force: true });
  if (old !== undefined) await rm(join(path, old), { recursive: true, force: true });
  return true;
}

async function writeFiles(directory: string, files: ReadonlyMap<string, VolumeFile>, gid: number | undefined): Promise<void> {
  await chmod(directory, 0o755);
  for (const [relative, file] of files) {
    const target = join(directory, relative);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await writeFile(target, file.content);
    if (file.uid !== undefined || gid !== undefined) await chown(target, file.uid ?? 0, gid ?? 0);
    await chmod(target, file.mode);
  }
  if (gid !== undefined) await own(directory, gid);
}

async function holdsExactly(directory: string, files: ReadonlyMap<string, VolumeFile>): Promise<boolean> {
  try {
    const present = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;
    if (present !== files.size) return false;
    for (const [relative, { content, mode }] of files) {
      const target = join(directory, relative);
      if (((await lstat(target)).mode & 0o7777) !== mode || !(await readFile(target)).equals(content)) return false;
    }
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function own(path: string, gid: number): Promise<void> {
  const found = await lstat(path);
  await lchown(path, found.uid, gid);
  if (found.isSymbolicLink()) return;
  // The group may do what the owner may; new files in a directory inherit the group.
  await chmod(path, (found.mode & 0o7777) | (found.isDirectory() ? 0o2770 : 0o660));
}
