/** What every kind of volume has in common for the kubelet: what it is made from, and what it is then. */
import type { Node, Pod } from '../../api/kinds.ts';
import type { V1ServiceAccountTokenProjection } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { World } from '../../world/world.ts';
import type { Disk } from '../disk.ts';
import type { PodDirectories } from '../pod-directories.ts';
import type { CsiVolumes } from './csi/csi-volumes.ts';

export interface VolumeSetting {
  readonly world: World;
  readonly client: Client;
  readonly disk: Disk;
  readonly csi: CsiVolumes;
  readonly directories: PodDirectories;
  readonly pod: Pod;
  readonly node: () => Node | undefined;
  readonly token: (projection: V1ServiceAccountTokenProjection) => Promise<string>;
  /** Aborted when the pod is looked after no more. */
  readonly signal: AbortSignal;
}

export interface MadeVolume {
  /** Where it is on the node: a directory, a file, or a device. */
  readonly path: string;
  /** Every mount of it is read-only, whatever the container says. */
  readonly readonly: boolean;
  /** A device: for `volumeDevices`, not for `volumeMounts`. */
  readonly block: boolean;
}

export function madeAt(path: string, more: Partial<Omit<MadeVolume, 'path'>> = {}): MadeVolume {
  return { path, readonly: false, block: false, ...more };
}
