/** Gives back the volumes of a pod that has ended, known by its directory alone: then nothing of others' can be found below it, and it can be removed. */
import type { Disk } from '../disk.ts';
import type { CsiVolumes } from './csi/csi-volumes.ts';

export async function tearDownVolumes({ disk, csi }: { readonly disk: Disk; readonly csi: CsiVolumes }, podRoot: string): Promise<void> {
  await csi.unpublishAll(podRoot);
  await disk.unmountBelow(podRoot);
}
