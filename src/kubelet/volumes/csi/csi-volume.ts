/** What a driver is asked for when a pod has a volume of it: worked out from the PersistentVolume, or from the pod itself. Pure functions. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { CSIDriver, PersistentVolume, Pod } from '../../../api/kinds.ts';
import type { V1CSIVolumeSource, V1SecretReference } from '../../../api/types.ts';
import type { Encodable } from '../../runtime/cri-protobuf.ts';
import type { PodDirectories } from '../../pod-directories.ts';
import { ConfigError } from '../../start-error.ts';
import type { AccessMode, NodeAbility, VolumeCapability } from './csi-messages.ts';

export interface CsiVolume {
  readonly driver: string;
  /** What the driver calls it. */
  readonly handle: string;
  /** What it is called below the pod's directory: the PersistentVolume's name, or the pod's own for it. */
  readonly name: string;
  readonly ephemeral: boolean;
  readonly block: boolean;
  readonly readOnly: boolean;
  readonly fsType: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly accessModes: readonly string[];
  readonly mountOptions: readonly string[];
  readonly stageSecret: V1SecretReference | undefined;
  readonly publishSecret: V1SecretReference | undefined;
  readonly expandSecret: V1SecretReference | undefined;
}

export function persistentCsiVolume({ metadata, spec }: PersistentVolume, readOnly: boolean): CsiVolume | undefined {
  const { csi } = spec;
  if (!csi) return undefined;
  return {
    driver: csi.driver,
    handle: csi.volumeHandle,
    name: metadata.name,
    ephemeral: false,
    block: spec.volumeMode === 'Block',
    readOnly: readOnly || csi.readOnly === true,
    fsType: csi.fsType ?? '',
    attributes: csi.volumeAttributes ?? {},
    accessModes: spec.accessModes ?? [],
    mountOptions: spec.mountOptions ?? [],
    stageSecret: csi.nodeStageSecretRef,
    publishSecret: csi.nodePublishSecretRef,
    expandSecret: csi.nodeExpandSecretRef,
  };
}

/** One that lives and dies with its pod; the driver makes it when it is published. */
export function inlineCsiVolume(pod: Pod, name: string, source: V1CSIVolumeSource): CsiVolume {
  const { namespace, uid } = pod.metadata;
  const secret = source.nodePublishSecretRef?.name;
  return {
    driver: source.driver,
    handle: `csi-${createHash('sha256').update(`${uid}${name}`).digest('hex')}`,
    name,
    ephemeral: true,
    block: false,
    readOnly: source.readOnly === true,
    fsType: source.fsType ?? '',
    attributes: source.volumeAttributes ?? {},
    accessModes: ['ReadWriteOnce'],
    mountOptions: [],
    stageSecret: undefined,
    publishSecret: secret === undefined ? undefined : { name: secret, namespace },
    expandSecret: undefined,
  };
}

/** As the attach-detach controller names the VolumeAttachment. */
export function attachmentName({ handle, driver }: CsiVolume, nodeName: string): string {
  return `csi-${createHash('sha256').update(`${handle}${driver}${nodeName}`).digest('hex')}`;
}

/** What the Node's `volumesInUse` calls it. */
export function uniqueName({ driver, handle }: Pick<CsiVolume, 'driver' | 'handle'>): string {
  return `kubernetes.io/csi/${driver}^${handle}`;
}

export interface CsiPaths {
  /** Holds the record and the target. */
  readonly directory: string;
  readonly target: string;
  readonly stagingDirectory: string;
  readonly staging: string;
}

export function csiPaths({ name, driver, handle, block }: CsiVolume, pod: PodDirectories, rootDir: string): CsiPaths {
  const directory = join(pod.root, block ? 'volumeDevices' : 'volumes', csiPlugin, name);
  return { directory, target: join(directory, block ? 'dev' : 'mount'), ...stagingPaths({ driver, handle }, rootDir) };
}

export const csiPlugin = 'kubernetes.io~csi';

export function stagingPaths(
  { driver, handle }: Pick<CsiVolume, 'driver' | 'handle'>,
  rootDir: string,
): Pick<CsiPaths, 'staging' | 'stagingDirectory'> {
  const hash = createHash('sha256').update(handle).digest('hex');
  const stagingDirectory = join(rootDir, 'plugins', 'kubernetes.io', 'csi', driver, hash);
  return { stagingDirectory, staging: join(stagingDirectory, 'globalmount') };
}

export function checkLifecycle({ driver, ephemeral }: CsiVolume, object: CSIDriver | undefined): void {
  const mode = ephemeral ? 'Ephemeral' : 'Persistent';
  const modes = object?.spec.volumeLifecycleModes ?? ['Persistent'];
  if (ephemeral && !object) throw new ConfigError(`volume mode "Ephemeral" not supported by driver ${driver} (no CSIDriver object)`);
  if (modes.includes(mode)) return;
  throw new ConfigError(`volume mode "${mode}" not supported by driver ${driver} (only supports ${JSON.stringify(modes)})`);
}

export function needsAttaching({ ephemeral }: CsiVolume, object: CSIDriver | undefined): boolean {
  return !ephemeral && object?.spec.attachRequired !== false;
}

export function capability(volume: CsiVolume, abilities: ReadonlySet<NodeAbility>, fsGroup: number | undefined): Encodable<typeof VolumeCapability> {
  const mode = accessMode(volume.accessModes, abilities.has('SINGLE_NODE_MULTI_WRITER'));
  if (volume.block) return { block: {}, accessMode: { mode } };
  const group = fsGroup !== undefined && abilities.has('VOLUME_MOUNT_GROUP') ? String(fsGroup) : '';
  return { mount: { fsType: volume.fsType, mountFlags: [...volume.mountOptions], volumeMountGroup: group }, accessMode: { mode } };
}

/** The widest of the volume's modes. Drivers that know of it are told whether a single node may have several writers. */
function accessMode(modes: readonly string[], knowsWriters: boolean): AccessMode {
  if (modes.includes('ReadWriteMany')) return 'MULTI_NODE_MULTI_WRITER';
  if (modes.includes('ReadOnlyMany')) return 'MULTI_NODE_READER_ONLY';
  if (!knowsWriters) return 'SINGLE_NODE_WRITER';
  return modes.includes('ReadWriteOncePod') ? 'SINGLE_NODE_SINGLE_WRITER' : 'SINGLE_NODE_MULTI_WRITER';
}

/** What the driver hears of the pod, if it wants to. */
export function podInfo({ ephemeral }: CsiVolume, { metadata, spec }: Pod, object: CSIDriver | undefined): Record<string, string> {
  if (object?.spec.podInfoOnMount !== true) return {};
  return {
    'csi.storage.k8s.io/pod.name': metadata.name,
    'csi.storage.k8s.io/pod.namespace': metadata.namespace,
    'csi.storage.k8s.io/pod.uid': metadata.uid,
    'csi.storage.k8s.io/serviceAccount.name': spec.serviceAccountName ?? '',
    'csi.storage.k8s.io/ephemeral': String(ephemeral),
  };
}

/** Whether the kubelet gives the volume's files to the pod's fsGroup. */
export function ownsByGroup(volume: CsiVolume, object: CSIDriver | undefined): boolean {
  if (volume.block || volume.readOnly) return false;
  switch (object?.spec.fsGroupPolicy) {
    case 'None':
      return false;
    case 'File':
      return true;
    default:
      return volume.fsType !== '' && volume.accessModes.includes('ReadWriteOnce');
  }
}
