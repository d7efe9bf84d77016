/** How a volume of a driver, its attachment to a node and the node's own report of it are named. As upstream's CSI plugin names them. */
import { createHash } from 'node:crypto';
import type { PersistentVolume, VolumeAttachment } from '../../api/kinds.ts';
import type { V1CSIPersistentVolumeSource } from '../../api/types.ts';
import type { Draft } from '../../machinery/object.ts';

const ownName = /^csi-[0-9a-f]{64}$/;

export function attachmentName({ volumeHandle, driver }: V1CSIPersistentVolumeSource, nodeName: string): string {
  return `csi-${createHash('sha256').update(`${volumeHandle}${driver}${nodeName}`).digest('hex')}`;
}

/** What `volumesInUse` and `volumesAttached` of a node call the volume. */
export function uniqueVolumeName({ driver, volumeHandle }: V1CSIPersistentVolumeSource): string {
  return `kubernetes.io/csi/${driver}^${volumeHandle}`;
}

export function newAttachment(volume: PersistentVolume, csi: V1CSIPersistentVolumeSource, nodeName: string): Draft<VolumeAttachment> {
  return {
    metadata: { name: attachmentName(csi, nodeName) },
    spec: { attacher: csi.driver, nodeName, source: { persistentVolumeName: volume.metadata.name } },
  };
}

/** Made by this controller, not by someone for a purpose of their own. `csi` is what its volume says, if the volume is still there. */
export function isOwn({ metadata, spec }: VolumeAttachment, csi: V1CSIPersistentVolumeSource | undefined): boolean {
  return csi === undefined ? ownName.test(metadata.name) : metadata.name === attachmentName(csi, spec.nodeName);
}
