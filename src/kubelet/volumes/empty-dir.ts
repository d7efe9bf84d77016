/** emptyDir: a directory that lives as long as its pod, on the disk or in memory. */
import type { V1EmptyDirVolumeSource } from '../../api/types.ts';
import { volumeDirectory } from '../pod-directories.ts';
import { bytes } from '../resources.ts';
import { VolumeError } from './volume-error.ts';
import { madeAt, type MadeVolume, type VolumeSetting } from './made-volume.ts';

export async function makeEmptyDir({ disk, directories, pod }: VolumeSetting, name: string, source: V1EmptyDirVolumeSource): Promise<MadeVolume> {
  const path = volumeDirectory(directories, 'empty-dir', name);
  const { medium = '', sizeLimit } = source;
  if (medium !== '' && medium !== 'Memory') throw new VolumeError('SetUp', `storage medium "${medium}" is not supported by this node`);
  // In memory the file system itself keeps the limit; on the disk the kubelet evicts who exceeds it.
  if (medium === 'Memory') await disk.mountTmpfs(path, { mode: 0o777, ...memoryLimit(sizeLimit, pod.spec.containers) });
  const fsGroup = pod.spec.securityContext?.fsGroup;
  await disk.makeDir(path, fsGroup === undefined ? 0o777 : 0o2777, fsGroup === undefined ? undefined : { gid: fsGroup });
  return madeAt(path);
}

/** No more than the pod may have of memory, when each of its containers says how much that is. */
function memoryLimit(
  sizeLimit: string | undefined,
  containers: readonly { readonly resources?: { readonly limits?: Readonly<Record<string, string>> } }[],
): { sizeBytes?: number } {
  const limits = containers.map(({ resources }) => resources?.limits?.['memory']);
  const ofPod = limits.every((limit) => limit !== undefined) ? limits.reduce((sum, limit) => sum + bytes(limit ?? '0'), 0) : 0;
  const own = sizeLimit === undefined ? 0 : bytes(sizeLimit);
  const sizes = [ofPod, own].filter((size) => size > 0);
  return sizes.length === 0 ? {} : { sizeBytes: Math.min(...sizes) };
}
