/** NFS: mounted by the node's own client, `mount.nfs`, into the pod's directory. */
import type { V1NFSVolumeSource } from '../../api/types.ts';
import type { MountPlan } from '../disk.ts';
import { volumeDirectory } from '../pod-directories.ts';
import { madeAt, type MadeVolume, type VolumeSetting } from './made-volume.ts';
import { VolumeError } from './volume-error.ts';

export function nfsMount({ server, path, readOnly }: V1NFSVolumeSource, mountOptions: readonly string[]): MountPlan {
  // An IPv6 address has colons of its own.
  const host = server.includes(':') && !server.startsWith('[') ? `[${server}]` : server;
  return { type: 'nfs', source: `${host}:${path}`, options: [...new Set([...(readOnly === true ? ['ro'] : []), ...mountOptions])] };
}

/** `name` is the PersistentVolume's, or the pod's own for the volume. */
export async function makeNfs(
  { disk, directories }: VolumeSetting,
  name: string,
  source: V1NFSVolumeSource,
  mountOptions: readonly string[] = [],
): Promise<MadeVolume> {
  const path = volumeDirectory(directories, 'nfs', name);
  await disk.makeDir(directories.root, 0o750);
  try {
    await disk.mount(nfsMount(source, mountOptions), path);
  } catch (error) {
    throw new VolumeError('SetUp', `mount failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  return madeAt(path, { readonly: source.readOnly === true });
}
