/** Directories whose provisioner was killed before it could say what it made, and whose claim went before it came back: nobody else would remove them. Pure. */
import { basename } from 'node:path';
import type { PersistentVolume, PersistentVolumeClaim } from '../api/kinds.ts';
import { volumeNameOf } from './plan.ts';

/** Of `names`, those that are named for no claim there is, and that no volume is or leads to. */
export function orphanedDirectories(
  names: readonly string[],
  claims: readonly PersistentVolumeClaim[],
  volumes: readonly PersistentVolume[],
): readonly string[] {
  const known = new Set([...claims.map(volumeNameOf), ...volumes.map(({ metadata }) => metadata.name)]);
  const used = new Set(volumes.map(({ spec }) => basename(spec.local?.path ?? spec.hostPath?.path ?? '')));
  return names.filter((name) => {
    const [, volume] = /^(pvc-[0-9a-f-]{36})_/.exec(name) ?? [];
    return volume !== undefined && !known.has(volume) && !used.has(name);
  });
}
