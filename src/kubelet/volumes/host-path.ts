/** hostPath: whatever is at a path of the node, checked to be what the pod expects there. */
import { dirname } from 'node:path';
import type { V1HostPathVolumeSource } from '../../api/types.ts';
import type { Disk, PathKind } from '../disk.ts';
import { VolumeError } from './volume-error.ts';
import { madeAt, type MadeVolume } from './made-volume.ts';

const kinds: Readonly<Record<string, { readonly kind: PathKind; readonly words: string }>> = {
  Directory: { kind: 'directory', words: 'a directory' },
  File: { kind: 'file', words: 'a file' },
  Socket: { kind: 'socket', words: 'a socket' },
  CharDevice: { kind: 'character-device', words: 'a character device' },
  BlockDevice: { kind: 'block-device', words: 'a block device' },
};

export async function makeHostPath(disk: Disk, { path, type = '' }: V1HostPathVolumeSource): Promise<MadeVolume> {
  const made = madeAt(path);
  // A path that ends in `..` or leads there names another place than it seems to.
  if (path.split('/').includes('..')) throw new VolumeError('SetUp', `hostPath ${path} must not contain '..'`);
  if (type === '' || !disk.keeps) return made;
  const found = await disk.kind(path);
  if (type === 'DirectoryOrCreate' && found === 'absent') await disk.makeDir(path, 0o755);
  else if (type === 'FileOrCreate' && found === 'absent') {
    if ((await disk.kind(dirname(path))) !== 'directory') throw new VolumeError('SetUp', `open ${path}: no such file or directory`);
    await disk.writeFile(path, '', 0o644);
  } else {
    const wanted = kinds[type.replace('OrCreate', '')];
    if (wanted && wanted.kind !== found) throw new VolumeError('SetUp', `hostPath type check failed: ${path} is not ${wanted.words}`);
  }
  return made;
}
