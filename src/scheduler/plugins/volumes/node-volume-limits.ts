/** NodeVolumeLimits: a CSI driver attaches so many volumes to a node and no more, as its CSINode says. */
import type { PersistentVolumeClaim } from '../../../api/kinds.ts';
import type { PluginDefinition, Refusal } from '../../plugin.ts';
import type { PodInfo } from '../../pod-info.ts';
import type { NodeRow, Snapshot } from '../../snapshot.ts';
import { classOf, volumeOf } from './pod-claims.ts';

const tooMany: Refusal = { reasons: ['node(s) exceed max volume count'], unresolvable: false };

export const nodeVolumeLimits: PluginDefinition = {
  name: 'NodeVolumeLimits',
  create: () => ({
    name: 'NodeVolumeLimits',
    hints: [
      { on: ['CSINode', 'PersistentVolume', 'VolumeAttachmentDelete'] },
      { on: ['AssignedPodDelete'], helps: (_, { object }) => 'spec' in object },
      { on: ['PersistentVolumeClaim'], helps: (pod, { object }) => object.metadata.namespace === pod.namespace },
    ],
    preFilter(pod, snapshot) {
      if (pod.claims.length === 0) return undefined;
      const wanted = volumesOf(pod, snapshot);
      return wanted.size === 0 ? undefined : { filter: (node) => (isFull(wanted, node, snapshot) ? tooMany : undefined) };
    },
  }),
};

function isFull(wanted: ReadonlyMap<string, string>, node: NodeRow, snapshot: Snapshot): boolean {
  const drivers = snapshot.objects.csiNodes.get(node.name)?.spec.drivers ?? [];
  const limits = drivers.flatMap(({ name, allocatable }) => (allocatable?.count === undefined ? [] : [{ name, count: allocatable.count }]));
  if (limits.length === 0) return false;
  const attached = new Map<string, string>();
  for (const other of node.pods.values()) for (const [volume, driver] of volumesOf(other, snapshot)) attached.set(volume, driver);
  // What pods that left still hold attached takes its place until it is detached.
  for (const [volume, driver] of attachedTo(node.name, snapshot)) attached.set(volume, driver);
  return limits.some(({ name, count }) => {
    const there = [...attached.values()].filter((driver) => driver === name).length;
    const added = [...wanted].filter(([volume, driver]) => driver === name && !attached.has(volume)).length;
    return added > 0 && there + added > count;
  });
}

function attachedTo(nodeName: string, { objects }: Snapshot): Map<string, string> {
  const volumes = new Map<string, string>();
  for (const { spec } of objects.volumeAttachments.list()) {
    const name = spec.source.persistentVolumeName;
    if (spec.nodeName !== nodeName || name === undefined) continue;
    const csi = objects.volumes.get(name)?.spec.csi;
    if (csi) volumes.set(`${csi.driver}/${csi.volumeHandle}`, csi.driver);
  }
  return volumes;
}

/** By volume, which driver attaches it: two pods that share a volume take one place. */
function volumesOf({ claims, namespace }: PodInfo, snapshot: Snapshot): Map<string, string> {
  const volumes = new Map<string, string>();
  for (const key of claims) {
    const claim = snapshot.objects.claims.get(key.slice(namespace.length + 1), namespace);
    const attached = claim && volumeAndDriver(claim, snapshot);
    if (attached) volumes.set(attached.volume, attached.driver);
  }
  return volumes;
}

function volumeAndDriver(claim: PersistentVolumeClaim, snapshot: Snapshot): { volume: string; driver: string } | undefined {
  const csi = volumeOf(claim, snapshot)?.spec.csi;
  if (csi) return { driver: csi.driver, volume: `${csi.driver}/${csi.volumeHandle}` };
  // Not bound yet: it will be one more volume of its class's driver.
  const driver = classOf(claim, snapshot)?.provisioner;
  return driver === undefined ? undefined : { driver, volume: `${driver}/claim/${claim.metadata.namespace}/${claim.metadata.name}` };
}
