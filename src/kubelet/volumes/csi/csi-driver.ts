/** One storage driver on this node, spoken to over its socket. See the node service of https://github.com/container-storage-interface/spec */
import type { World } from '../../../world/world.ts';
import type { Encodable, Message } from '../../runtime/cri-protobuf.ts';
import {
  Empty,
  type NodeAbility,
  NodeExpandVolumeRequest,
  NodeExpandVolumeResponse,
  NodeGetCapabilitiesResponse,
  NodeGetInfoResponse,
  NodeGetVolumeStatsRequest,
  NodeGetVolumeStatsResponse,
  NodePublishVolumeRequest,
  NodeStageVolumeRequest,
  NodeUnpublishVolumeRequest,
  NodeUnstageVolumeRequest,
} from './csi-messages.ts';
import { grpcSocket } from './grpc-socket.ts';

export interface NodeInfo {
  readonly nodeId: string;
  /** 0 for no limit. */
  readonly maxVolumes: number;
  readonly topology: Readonly<Record<string, string>>;
}

export interface VolumeUsage {
  readonly capacityBytes: number;
  readonly usedBytes: number;
  readonly availableBytes: number;
  readonly inodes: number;
  readonly inodesUsed: number;
  readonly inodesFree: number;
}

export interface CsiDriver {
  readonly name: string;
  info(): Promise<NodeInfo>;
  /** Asked once. */
  abilities(): Promise<ReadonlySet<NodeAbility>>;
  stage(request: Encodable<typeof NodeStageVolumeRequest>): Promise<void>;
  unstage(volumeId: string, stagingTargetPath: string): Promise<void>;
  publish(request: Encodable<typeof NodePublishVolumeRequest>): Promise<void>;
  unpublish(volumeId: string, targetPath: string): Promise<void>;
  /** Answers the new size in bytes; 0 when the driver does not say. */
  expand(request: Encodable<typeof NodeExpandVolumeRequest>): Promise<number>;
  usage(volumeId: string, volumePath: string): Promise<VolumeUsage>;
  close(): void;
}

/** Upstream's for every CSI call. */
const callTimeoutMs = 120_000;

export function csiDriver(name: string, endpoint: string, world: World): CsiDriver {
  const socket = grpcSocket(endpoint, world);
  const call = <In, Out>(method: string, request: Message<In, unknown>, reply: Message<unknown, Out>, value: In): Promise<Out> =>
    socket.call(`/csi.v1.Node/${method}`, request, reply, value, callTimeoutMs);
  let known: Promise<ReadonlySet<NodeAbility>> | undefined;

  async function askAbilities(): Promise<ReadonlySet<NodeAbility>> {
    const { capabilities } = await call('NodeGetCapabilities', Empty, NodeGetCapabilitiesResponse, {});
    return new Set(capabilities.flatMap(({ rpc }) => rpc?.type ?? []));
  }

  return {
    name,
    async info() {
      const { nodeId, maxVolumesPerNode, accessibleTopology } = await call('NodeGetInfo', Empty, NodeGetInfoResponse, {});
      return { nodeId, maxVolumes: maxVolumesPerNode, topology: accessibleTopology?.segments ?? {} };
    },
    abilities() {
      known ??= askAbilities().catch((error: unknown) => {
        known = undefined;
        throw error;
      });
      return known;
    },
    async stage(request) {
      await call('NodeStageVolume', NodeStageVolumeRequest, Empty, request);
    },
    async unstage(volumeId, stagingTargetPath) {
      await call('NodeUnstageVolume', NodeUnstageVolumeRequest, Empty, { volumeId, stagingTargetPath });
    },
    async publish(request) {
      await call('NodePublishVolume', NodePublishVolumeRequest, Empty, request);
    },
    async unpublish(volumeId, targetPath) {
      await call('NodeUnpublishVolume', NodeUnpublishVolumeRequest, Empty, { volumeId, targetPath });
    },
    async expand(request) {
      return (await call('NodeExpandVolume', NodeExpandVolumeRequest, NodeExpandVolumeResponse, request)).capacityBytes;
    },
    async usage(volumeId, volumePath) {
      const { usage } = await call('NodeGetVolumeStats', NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, { volumeId, volumePath });
      const bytes = usage.find(({ unit }) => unit === 'BYTES');
      const inodes = usage.find(({ unit }) => unit === 'INODES');
      return {
        capacityBytes: bytes?.total ?? 0,
        usedBytes: bytes?.used ?? 0,
        availableBytes: bytes?.available ?? 0,
        inodes: inodes?.total ?? 0,
        inodesUsed: inodes?.used ?? 0,
        inodesFree: inodes?.available ?? 0,
      };
    },
    close: () => socket.close(),
  };
}
