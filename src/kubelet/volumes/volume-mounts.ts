/** What of a pod's volumes one of its containers sees: mounts and devices, as the runtime is told of them. */
import { posix } from 'node:path';
import type { V1Container } from '../../api/types.ts';
import type { Disk } from '../disk.ts';
import type { PodDirectories } from '../pod-directories.ts';
import type { Device, Mount, RuntimeHandler } from '../runtime/runtime.ts';
import { ConfigError } from '../start-error.ts';
import type { PodVolumes } from './pod-volumes.ts';
import { subPathOf, subPathTarget } from './sub-path.ts';

const propagations: Readonly<Record<string, Mount['propagation']>> = { HostToContainer: 'host-to-container', Bidirectional: 'bidirectional' };

export interface MountSetting {
  readonly container: V1Container;
  readonly env: ReadonlyMap<string, string>;
  readonly volumes: PodVolumes;
  readonly directories: PodDirectories;
  readonly disk: Disk;
  readonly handler: RuntimeHandler | undefined;
  readonly imageVolumes: ReadonlyMap<string, string>;
}

export async function volumeMounts({ container, env, volumes, directories, disk, handler, imageVolumes }: MountSetting): Promise<Mount[]> {
  const mounts: Mount[] = [];
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const volume = volumes.get(mount.name);
    if (!volume) throw new ConfigError(`cannot find volume "${mount.name}" to mount into container "${container.name}"`);
    if (volume.block) throw new ConfigError(`volume ${mount.name} has volumeMode Block, but is specified in volumeMounts`);
    const canRecurse = handler?.recursiveReadOnlyMounts === true;
    if (mount.recursiveReadOnly === 'Enabled' && !canRecurse) {
      throw new ConfigError(`volume "${mount.name}" requested recursive read-only mode, but it is not supported by the runtime`);
    }
    const recursive = canRecurse && (mount.recursiveReadOnly === 'Enabled' || mount.recursiveReadOnly === 'IfPossible');
    const subPath = subPathOf(mount, env);
    const place = { disk, directories, container: container.name, index, volume: mount.name, root: volume.path, subPath };
    const containerPath = mount.mountPath.startsWith('/') ? mount.mountPath : posix.join('/', mount.mountPath);
    const image = imageVolumes.get(mount.name);
    if (image !== undefined) {
      mounts.push({ containerPath, hostPath: '', image, ...(subPath !== '' && { imageSubPath: subPath }), readonly: true, propagation: 'private' });
      continue;
    }
    mounts.push({
      containerPath,
      hostPath: subPath === '' ? volume.path : await subPathTarget(place),
      readonly: mount.readOnly === true || volume.readonly,
      ...(recursive && { recursiveReadOnly: true }),
      propagation: propagations[mount.mountPropagation ?? ''] ?? 'private',
    });
  }
  return mounts;
}

export function volumeDevices({ container, volumes }: Pick<MountSetting, 'container' | 'volumes'>): Device[] {
  return (container.volumeDevices ?? []).map(({ name, devicePath }) => {
    const volume = volumes.get(name);
    if (!volume) throw new ConfigError(`cannot find volume "${name}" to pass into container "${container.name}"`);
    if (!volume.block) throw new ConfigError(`volume ${name} has volumeMode Filesystem, but is specified in volumeDevices`);
    return { containerPath: devicePath, hostPath: volume.path, permissions: volume.readonly ? 'r' : 'mrw' };
  });
}
