/** VolumeRestrictions: a `ReadWriteOncePod` claim is one pod's alone, and some kinds of disk can be attached once only. */
import type { V1Volume } from '../../../api/types.ts';
import type { PluginDefinition, Refusal } from '../../plugin.ts';

const inUse: Refusal = {
  reasons: ['node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode'],
  unresolvable: false,
};
const diskTaken: Refusal = { reasons: ['node(s) had no available disk'], unresolvable: false };

export const volumeRestrictions: PluginDefinition = {
  name: 'VolumeRestrictions',
  create: () => ({
    name: 'VolumeRestrictions',
    dependsOnPods: true,
    hints: [
      { on: ['NodeAdd', 'AssignedPodDelete'] },
      { on: ['PersistentVolumeClaim'], helps: (pod, { object }) => object.metadata.namespace === pod.namespace },
    ],
    preFilter(pod, snapshot) {
      const disks = (pod.pod.spec.volumes ?? []).filter(isSingleDisk);
      if (pod.claims.length === 0 && disks.length === 0) return undefined;
      let taken = false;
      for (const key of pod.claims) {
        const name = key.slice(pod.namespace.length + 1);
        const claim = snapshot.objects.claims.get(name, pod.namespace);
        if (claim === undefined) return { refusal: { reasons: [`persistentvolumeclaim "${name}" not found`], unresolvable: true } };
        if (claim.spec.accessModes?.includes('ReadWriteOncePod') && snapshot.claimUsers(key).size > 0) taken = true;
      }
      if (taken) return { filter: () => inUse };
      if (disks.length === 0) return undefined;
      return {
        filter(node) {
          for (const other of node.pods.values()) {
            if ((other.pod.spec.volumes ?? []).some((volume) => disks.some((disk) => excludes(disk, volume)))) return diskTaken;
          }
          return undefined;
        },
      };
    },
  }),
};

function isSingleDisk({ gcePersistentDisk, awsElasticBlockStore, iscsi, rbd }: V1Volume): boolean {
  return (gcePersistentDisk ?? awsElasticBlockStore ?? iscsi ?? rbd) !== undefined;
}

/** The same disk; two that only read it may share it, where the kind of disk allows that. */
function excludes(a: V1Volume, b: V1Volume): boolean {
  if (a.gcePersistentDisk && b.gcePersistentDisk) {
    return a.gcePersistentDisk.pdName === b.gcePersistentDisk.pdName && !(a.gcePersistentDisk.readOnly && b.gcePersistentDisk.readOnly);
  }
  if (a.awsElasticBlockStore && b.awsElasticBlockStore) return a.awsElasticBlockStore.volumeID === b.awsElasticBlockStore.volumeID;
  if (a.iscsi && b.iscsi) return a.iscsi.iqn === b.iscsi.iqn && !(a.iscsi.readOnly && b.iscsi.readOnly);
  if (a.rbd && b.rbd) {
    const monitors = new Set(a.rbd.monitors);
    const isSame = b.rbd.monitors.some((one) => monitors.has(one)) && (a.rbd.pool ?? 'rbd') === (b.rbd.pool ?? 'rbd') && a.rbd.image === b.rbd.image;
    return isSame && !(a.rbd.readOnly && b.rbd.readOnly);
  }
  return false;
}
