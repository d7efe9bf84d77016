/**
 * Mounts a part of a volume somewhere else, so that a container sees it alone (subPath). Other containers may write in the volume at that moment and put a
 * link in the place of a directory; so each step is opened without following links, and what is mounted is what was opened. Upstream: `mount-utils` subpath.
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, lstat, mkdir, open, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isMissing, mountPoints, run } from './mounts.ts';

const { O_DIRECTORY, O_NOFOLLOW } = constants;
/** Linux's own: a handle on a place in the file system that opens no device and waits for no pipe. */
const O_PATH = 0o10000000;

export async function bindWithin(root: string, path: string, target: string): Promise<string> {
  const realRoot = await realpath(root);
  const real = await resolveWithin(realRoot, path);
  const opened = await openWithin(realRoot, relative(realRoot, real), (await stat(realRoot)).mode & 0o7777);
  try {
    const source = descriptorPath(opened);
    if ((await mountPoints()).includes(target)) await run('umount', [target]);
    if ((await stat(source)).isDirectory()) await mkdir(target, { recursive: true, mode: 0o750 });
    else {
      await mkdir(dirname(target), { recursive: true, mode: 0o750 });
      await writeFile(target, '', { mode: 0o640 });
    }
    // By the descriptor, taken as it is: a name could be another file by now.
    await run('mount', ['--no-canonicalize', '--bind', source, target]);
    return target;
  } finally {
    await opened.close();
  }
}

/** Where the path leads, as far as it is there; throws when that is outside. */
async function resolveWithin(realRoot: string, path: string): Promise<string> {
  let missing = '';
  for (let existing = join(realRoot, path); ; existing = dirname(existing)) {
    try {
      const real = await realpath(existing);
      const whole = join(real, missing);
      if (whole !== realRoot && !whole.startsWith(`${realRoot}/`)) throw new Error(`subpath "${path}" not within volume path "${realRoot}"`);
      return whole;
    } catch (error) {
      if (!isMissing(error) || existing === realRoot) throw error;
      // A link that leads nowhere is not a place that is still to be made.
      if (await isLink(existing)) throw new Error(`subpath "${path}" is a link that leads nowhere`, { cause: error });
      missing = join(existing.slice(dirname(existing).length + 1), missing);
    }
  }
}

async function openWithin(realRoot: string, path: string, mode: number): Promise<FileHandle> {
  let current = await open(realRoot, O_PATH | O_DIRECTORY);
  for (const segment of path.split('/').filter((each) => each !== '')) {
    const before = current;
    try {
      current = await openNext(join(descriptorPath(before), segment), mode);
    } finally {
      await before.close();
    }
    if ((await current.stat()).isSymbolicLink()) {
      await current.close();
      throw new Error(`unexpected symlink found in subpath "${path}"`);
    }
  }
  return current;
}

async function openNext(path: string, mode: number): Promise<FileHandle> {
  try {
    return await open(path, O_PATH | O_NOFOLLOW);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  await mkdir(path);
  const made = await open(path, O_PATH | O_NOFOLLOW | O_DIRECTORY);
  // As open to all as the volume itself: who the container runs as is to write there.
  await chmod(descriptorPath(made), mode);
  return made;
}

function descriptorPath(file: FileHandle): string {
  return `/proc/${process.pid}/fd/${file.fd}`;
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
