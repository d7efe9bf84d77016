/** local: a directory, or a block device, of one node, behind a PersistentVolume. */
import type { PersistentVolume } from '../../api/kinds.ts';
import { giveToGroup } from './fs-group.ts';
import { madeAt, type MadeVolume, type VolumeSetting } from './made-volume.ts';
import { VolumeError } from './volume-error.ts';

export async function makeLocal(setting: VolumeSetting, { spec }: PersistentVolume, readonly: boolean): Promise<MadeVolume> {
  const { disk } = setting;
  const path = spec.local?.path ?? '';
  if (!disk.keeps) return madeAt(path, { readonly, block: spec.volumeMode === 'Block' });
  const found = await disk.kind(path);
  if (found === 'absent')
    throw new VolumeError(spec.volumeMode === 'Block' ? 'MapVolume.SetUpDevice' : 'NewMounter initialization', `path "${path}" does not exist`);
  if (spec.volumeMode === 'Block') {
    if (found !== 'block-device') throw new VolumeError('MapVolume.SetUpDevice', `path "${path}" is not a block device`);
    return madeAt(path, { readonly, block: true });
  }
  if (found !== 'directory')
    throw new VolumeError('SetUp', `path "${path}" is not a directory: only directories can be local volumes of mode Filesystem here`);
  if (!readonly) await giveToGroup(setting, path);
  return madeAt(path, { readonly });
}
