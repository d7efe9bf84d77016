/**
 * The messages that a kubelet exchanges with a storage driver, with the published field numbers: the node's part of CSI v1
 * (https://github.com/container-storage-interface/spec) and the kubelet's plugin registration. Fields we neither send nor read are left out.
 */
import { boolean, enumeration, integer, message, nested, repeated, string, stringMap, strings } from '../../runtime/cri-protobuf.ts';

export const Empty = message({});

// Registration

export const PluginInfo = message({ type: string(1), name: string(2), endpoint: string(3), supportedVersions: strings(4) });
export const RegistrationStatus = message({ registered: boolean(1), error: string(2) });

// What a node is and can do

export const NodeGetInfoResponse = message({
  nodeId: string(1),
  maxVolumesPerNode: integer(2),
  accessibleTopology: nested(3, message({ segments: stringMap(1) })),
});

export const nodeAbilities = [
  'UNKNOWN',
  'STAGE_UNSTAGE_VOLUME',
  'GET_VOLUME_STATS',
  'EXPAND_VOLUME',
  'VOLUME_CONDITION',
  'SINGLE_NODE_MULTI_WRITER',
  'VOLUME_MOUNT_GROUP',
] as const;
export type NodeAbility = (typeof nodeAbilities)[number];

export const NodeGetCapabilitiesResponse = message({
  capabilities: repeated(1, message({ rpc: nested(1, message({ type: enumeration(1, nodeAbilities) })) })),
});

// Volumes

export const accessModes = [
  'UNKNOWN',
  'SINGLE_NODE_WRITER',
  'SINGLE_NODE_READER_ONLY',
  'MULTI_NODE_READER_ONLY',
  'MULTI_NODE_SINGLE_WRITER',
  'MULTI_NODE_MULTI_WRITER',
  'SINGLE_NODE_SINGLE_WRITER',
  'SINGLE_NODE_MULTI_WRITER',
] as const;
export type AccessMode = (typeof accessModes)[number];

/** Either `block` or `mount` is there. */
export const VolumeCapability = message({
  block: nested(1, Empty),
  mount: nested(2, message({ fsType: string(1), mountFlags: strings(2), volumeMountGroup: string(3) })),
  accessMode: nested(3, message({ mode: enumeration(1, accessModes) })),
});

export const NodeStageVolumeRequest = message({
  volumeId: string(1),
  publishContext: stringMap(2),
  stagingTargetPath: string(3),
  capability: nested(4, VolumeCapability),
  secrets: stringMap(5),
  volumeContext: stringMap(6),
});
export const NodeUnstageVolumeRequest = message({ volumeId: string(1), stagingTargetPath: string(2) });
export const NodePublishVolumeRequest = message({
  volumeId: string(1),
  publishContext: stringMap(2),
  stagingTargetPath: string(3),
  targetPath: string(4),
  capability: nested(5, VolumeCapability),
  readonly: boolean(6),
  secrets: stringMap(7),
  volumeContext: stringMap(8),
});
export const NodeUnpublishVolumeRequest = message({ volumeId: string(1), targetPath: string(2) });
export const NodeGetVolumeStatsRequest = message({ volumeId: string(1), volumePath: string(2), stagingTargetPath: string(3) });
export const NodeGetVolumeStatsResponse = message({
  usage: repeated(1, message({ available: integer(1), total: integer(2), used: integer(3), unit: enumeration(4, ['UNKNOWN', 'BYTES', 'INODES']) })),
  condition: nested(2, message({ abnormal: boolean(1), message: string(2) })),
});
export const NodeExpandVolumeRequest = message({
  volumeId: string(1),
  volumePath: string(2),
  capacityRange: nested(3, message({ requiredBytes: integer(1), limitBytes: integer(2) })),
  stagingTargetPath: string(4),
  capability: nested(5, VolumeCapability),
  secrets: stringMap(6),
});
export const NodeExpandVolumeResponse = message({ capacityBytes: integer(1) });
