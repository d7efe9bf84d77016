/** subPath and subPathExpr: a container sees a part of a volume only. */
import { join } from 'node:path';
import type { V1VolumeMount } from '../../api/types.ts';
import type { Disk } from '../disk.ts';
import { expand } from '../expansion.ts';
import type { PodDirectories } from '../pod-directories.ts';
import { ConfigError } from '../start-error.ts';

/** Empty for the whole volume. */
export function subPathOf(mount: V1VolumeMount, env: ReadonlyMap<string, string>): string {
  const { subPath = '', subPathExpr = '' } = mount;
  if (subPathExpr === '') return subPath;
  const missing: string[] = [];
  const expanded = expand(subPathExpr, (name) => {
    const value = env.get(name);
    if (value === undefined) missing.push(name);
    return value;
  });
  if (missing.length > 0) throw new ConfigError(`missing value for ${missing.map((name) => JSON.stringify(name)).join(', ')}`);
  return expanded;
}

export interface SubPathSetting {
  readonly disk: Disk;
  readonly directories: PodDirectories;
  readonly container: string;
  /** Which of the container's mounts it is. */
  readonly index: number;
  readonly volume: string;
  /** The volume's place on the node. */
  readonly root: string;
  readonly subPath: string;
}

/** A sub-path is made when it is missing, and never leads out of its volume. */
export async function subPathTarget({ disk, directories, container, index, volume, root, subPath }: SubPathSetting): Promise<string> {
  if (subPath.startsWith('/')) throw new ConfigError(`error SubPath \`${subPath}\` must not be an absolute path`);
  if (subPath.split('/').includes('..')) throw new ConfigError(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
  const target = join(directories.root, 'volume-subpaths', volume, container, String(index));
  try {
    return await disk.bindWithin(root, subPath, target);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`failed to prepare subPath for volumeMount "${volume}" of container "${container}": ${why}`);
  }
}
