/** Volumes whose files the API provides: config maps, secrets, the downward API and projections of them. Nobody but the kubelet writes there. */
import type { V1Volume } from '../../api/types.ts';
import type { Disk } from '../disk.ts';
import { type PodDirectories, volumeDirectory } from '../pod-directories.ts';
import { madeAt, type MadeVolume } from './made-volume.ts';
import { type ContentSources, volumeContent } from './volume-content.ts';

/** The kind's name in the pod's directory; undefined for other volumes. */
export function providedPlugin(volume: V1Volume): string | undefined {
  if (volume.configMap) return 'configmap';
  if (volume.secret) return 'secret';
  if (volume.downwardAPI) return 'downward-api';
  if (volume.projected) return 'projected';
  return undefined;
}

/** Makes it, or rewrites what changed. */
export async function makeProvided(
  disk: Disk,
  directories: PodDirectories,
  plugin: string,
  volume: V1Volume,
  sources: ContentSources,
): Promise<MadeVolume> {
  const { fsGroup } = sources.pod.spec.securityContext ?? {};
  const content = (await volumeContent(volume, sources)) ?? new Map();
  const path = volumeDirectory(directories, plugin, volume.name);
  // Secrets and tokens stay in memory: they are not to be found on the disk later.
  if (plugin !== 'configmap') await disk.mountTmpfs(path, { mode: 0o755 });
  await disk.makeDir(path, 0o755, fsGroup === undefined ? undefined : { gid: fsGroup });
  await disk.writeVolume(path, fsGroup === undefined ? content : readableByGroup(content), fsGroup);
  return madeAt(path, { readonly: true });
}

function readableByGroup<T extends { readonly mode: number }>(content: ReadonlyMap<string, T>): Map<string, T> {
  return new Map([...content].map(([path, file]) => [path, { ...file, mode: file.mode | 0o440 }]));
}
