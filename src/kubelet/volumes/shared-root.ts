/**
 * Makes the kubelet's root directory a shared mount: what a storage driver mounts in there from its container is then seen by the kubelet and by the pods it
 * is for. Where the whole machine's root is shared, as with systemd, nothing is to be done. Upstream: `MakeRShared`.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathInMountTable, run } from './mounts.ts';

export async function shareRoot(directory: string): Promise<void> {
  const path = resolve(directory);
  await mkdir(path, { recursive: true, mode: 0o750 });
  if (isShared(await readFile('/proc/self/mountinfo', 'utf8'), path)) return;
  await run('mount', ['--bind', path, path]);
  await run('mount', ['--make-rshared', path]);
}

/** Whether the mount that the path lies on passes mounts on: the last one over the longest part of the path says so in its optional fields. */
export function isShared(mountinfo: string, path: string): boolean {
  let [best, shared] = ['', false];
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const point = pathInMountTable(fields[4] ?? '');
    const covers = point === path || point === '/' || path.startsWith(`${point}/`);
    if (point === '' || !covers || point.length < best.length) continue;
    [best, shared] = [point, fields.slice(6, fields.indexOf('-')).some((field) => field.startsWith('shared:'))];
  }
  return shared;
}
