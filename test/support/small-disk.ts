/** A file system of a few megabytes, in memory, for what happens when one fills up. Containers can lie on it: overlayfs takes tmpfs for its upper layers. */
import { execFile } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  readonly path: string;
  close(): Promise<void>;
}

export async function smallDisk(mebibytes: number, inodes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'k8ts-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,nr_inodes=${inodes},mode=755`, 'k8ts-test', path]);
  return {
    path,
    async close() {
      await run('umount', ['--lazy', path]);
      await rmdir(path);
    },
  };
}
