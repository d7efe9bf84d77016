/** fsGroup: a volume's files belong to the pod's group, so that whoever its processes run as can share them. */
import type { VolumeSetting } from './made-volume.ts';

export async function giveToGroup({ disk, pod }: Pick<VolumeSetting, 'disk' | 'pod'>, path: string): Promise<void> {
  const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {};
  if (fsGroup === undefined) return;
  // Large volumes take long: whoever asks for that has them changed only if their root shows that they were not.
  if (fsGroupChangePolicy === 'OnRootMismatch' && (await disk.belongsTo(path, fsGroup))) return;
  await disk.chownTree(path, fsGroup);
}
