/**
 * The messages of CRI v1 (`runtime.v1`, https://github.com/kubernetes/cri-api) that the kubelet uses, with the published field numbers. Fields
 * we neither send nor read are left out; the wire format skips them.
 */
import { boolean, bytes, enumeration, integer, integers, message, nested, repeated, string, stringMap, strings } from './cri-protobuf.ts';

export const Empty = message({});

// Sandboxes

const IdMapping = message({ hostId: integer(1), containerId: integer(2), length: integer(3) });
const NamespaceOption = message({
  network: enumeration(1, ['POD', 'CONTAINER', 'NODE', 'TARGET']),
  pid: enumeration(2, ['POD', 'CONTAINER', 'NODE', 'TARGET']),
  ipc: enumeration(3, ['POD', 'CONTAINER', 'NODE', 'TARGET']),
  targetId: string(4),
  usernsOptions: nested(
    5,
    message({ mode: enumeration(1, ['POD', 'CONTAINER', 'NODE', 'TARGET']), uids: repeated(2, IdMapping), gids: repeated(3, IdMapping) }),
  ),
});
const Int64Value = message({ value: integer(1) });
const SecurityProfile = message({ profileType: enumeration(1, ['RuntimeDefault', 'Unconfined', 'Localhost']), localhostRef: string(2) });

const LinuxContainerResources = message({
  cpuPeriod: integer(1),
  cpuQuota: integer(2),
  cpuShares: integer(3),
  memoryLimitInBytes: integer(4),
  oomScoreAdj: integer(5),
  cpusetCpus: string(6),
  cpusetMems: string(7),
});

const LinuxSandboxSecurityContext = message({
  namespaceOptions: nested(1, NamespaceOption),
  runAsUser: nested(3, Int64Value),
  supplementalGroups: integers(5),
  privileged: boolean(6),
  runAsGroup: nested(8, Int64Value),
  seccomp: nested(9, SecurityProfile),
  supplementalGroupsPolicy: enumeration(11, ['Merge', 'Strict']),
});

const PodSandboxMetadata = message({ name: string(1), uid: string(2), namespace: string(3), attempt: integer(4) });

export const PodSandboxConfig = message({
  metadata: nested(1, PodSandboxMetadata),
  hostname: string(2),
  logDirectory: string(3),
  dnsConfig: nested(4, message({ servers: strings(1), searches: strings(2), options: strings(3) })),
  portMappings: repeated(
    5,
    message({ protocol: enumeration(1, ['TCP', 'UDP', 'SCTP']), containerPort: integer(2), hostPort: integer(3), hostIp: string(4) }),
  ),
  labels: stringMap(6),
  annotations: stringMap(7),
  linux: nested(8, message({ cgroupParent: string(1), securityContext: nested(2, LinuxSandboxSecurityContext), sysctls: stringMap(3) })),
});

export const RunPodSandboxRequest = message({ config: nested(1, PodSandboxConfig), runtimeHandler: string(2) });
export const PodSandboxId = message({ podSandboxId: string(1) });
export const PodSandboxStatusRequest = message({ podSandboxId: string(1), verbose: boolean(2) });

export const PodSandboxStatus = message({
  id: string(1),
  metadata: nested(2, PodSandboxMetadata),
  state: enumeration(3, ['SANDBOX_READY', 'SANDBOX_NOTREADY']),
  createdAt: integer(4),
  network: nested(5, message({ ip: string(1), additionalIps: repeated(2, message({ ip: string(1) })) })),
  labels: stringMap(7),
  annotations: stringMap(8),
});
export const PodSandboxStatusResponse = message({ status: nested(1, PodSandboxStatus), info: stringMap(2) });

export const PodSandbox = message({
  id: string(1),
  metadata: nested(2, PodSandboxMetadata),
  state: enumeration(3, ['SANDBOX_READY', 'SANDBOX_NOTREADY']),
  createdAt: integer(4),
  labels: stringMap(5),
  annotations: stringMap(6),
});
export const ListPodSandboxResponse = message({ items: repeated(1, PodSandbox) });

// Containers

export const ImageSpec = message({ image: string(1), annotations: stringMap(2), userSpecifiedImage: string(18) });
const ContainerMetadata = message({ name: string(1), attempt: integer(2) });

export const Mount = message({
  containerPath: string(1),
  hostPath: string(2),
  readonly: boolean(3),
  propagation: enumeration(5, ['PROPAGATION_PRIVATE', 'PROPAGATION_HOST_TO_CONTAINER', 'PROPAGATION_BIDIRECTIONAL']),
  uidMappings: repeated(6, IdMapping),
  gidMappings: repeated(7, IdMapping),
  recursiveReadOnly: boolean(8),
  image: nested(9, ImageSpec),
  imageSubPath: string(10),
});

const LinuxContainerSecurityContext = message({
  capabilities: nested(1, message({ addCapabilities: strings(1), dropCapabilities: strings(2) })),
  privileged: boolean(2),
  namespaceOptions: nested(3, NamespaceOption),
  runAsUser: nested(5, Int64Value),
  runAsUsername: string(6),
  readonlyRootfs: boolean(7),
  supplementalGroups: integers(8),
  noNewPrivs: boolean(11),
  runAsGroup: nested(12, Int64Value),
  maskedPaths: strings(13),
  readonlyPaths: strings(14),
  seccomp: nested(15, SecurityProfile),
  supplementalGroupsPolicy: enumeration(17, ['Merge', 'Strict']),
});

export const ContainerConfig = message({
  metadata: nested(1, ContainerMetadata),
  image: nested(2, ImageSpec),
  command: strings(3),
  args: strings(4),
  workingDir: string(5),
  envs: repeated(6, message({ key: string(1), value: string(2) })),
  mounts: repeated(7, Mount),
  devices: repeated(8, message({ containerPath: string(1), hostPath: string(2), permissions: string(3) })),
  labels: stringMap(9),
  annotations: stringMap(10),
  logPath: string(11),
  stdin: boolean(12),
  stdinOnce: boolean(13),
  tty: boolean(14),
  linux: nested(15, message({ resources: nested(1, LinuxContainerResources), securityContext: nested(2, LinuxContainerSecurityContext) })),
});

export const CreateContainerRequest = message({
  podSandboxId: string(1),
  config: nested(2, ContainerConfig),
  sandboxConfig: nested(3, PodSandboxConfig),
});
export const ContainerId = message({ containerId: string(1) });
export const StopContainerRequest = message({ containerId: string(1), timeout: integer(2) });

export const Container = message({
  id: string(1),
  podSandboxId: string(2),
  metadata: nested(3, ContainerMetadata),
  image: nested(4, ImageSpec),
  imageRef: string(5),
  state: enumeration(6, ['CONTAINER_CREATED', 'CONTAINER_RUNNING', 'CONTAINER_EXITED', 'CONTAINER_UNKNOWN']),
  createdAt: integer(7),
  labels: stringMap(8),
  annotations: stringMap(9),
});
export const ListContainersRequest = message({ filter: nested(1, message({ id: string(1), podSandboxId: string(3) })) });
export const ListContainersResponse = message({ containers: repeated(1, Container) });

export const ContainerStatusRequest = message({ containerId: string(1), verbose: boolean(2) });
export const ContainerStatus = message({
  id: string(1),
  metadata: nested(2, ContainerMetadata),
  state: enumeration(3, ['CONTAINER_CREATED', 'CONTAINER_RUNNING', 'CONTAINER_EXITED', 'CONTAINER_UNKNOWN']),
  createdAt: integer(4),
  startedAt: integer(5),
  finishedAt: integer(6),
  exitCode: integer(7),
  image: nested(8, ImageSpec),
  imageRef: string(9),
  reason: string(10),
  message: string(11),
  labels: stringMap(12),
  annotations: stringMap(13),
  mounts: repeated(14, Mount),
  logPath: string(15),
  user: nested(18, message({ linux: nested(1, message({ uid: integer(1), gid: integer(2), supplementalGroups: integers(3) })) })),
});
export const ContainerStatusResponse = message({ status: nested(1, ContainerStatus), info: stringMap(2) });

export const UpdateContainerResourcesRequest = message({ containerId: string(1), linux: nested(2, LinuxContainerResources) });

export const CheckpointContainerRequest = message({ containerId: string(1), location: string(2), timeout: integer(3) });
export const ExecSyncRequest = message({ containerId: string(1), cmd: strings(2), timeout: integer(3) });
export const ExecSyncResponse = message({ stdout: bytes(1), stderr: bytes(2), exitCode: integer(3) });
export const ExecRequest = message({
  containerId: string(1),
  cmd: strings(2),
  tty: boolean(3),
  stdin: boolean(4),
  stdout: boolean(5),
  stderr: boolean(6),
});
export const AttachRequest = message({ containerId: string(1), stdin: boolean(2), tty: boolean(3), stdout: boolean(4), stderr: boolean(5) });
export const PortForwardRequest = message({ podSandboxId: string(1), port: integers(2) });
export const StreamingUrl = message({ url: string(1) });

const UInt64Value = message({ value: integer(1) });
const FilesystemUsage = message({
  timestamp: integer(1),
  fsId: nested(2, message({ mountpoint: string(1) })),
  usedBytes: nested(3, UInt64Value),
  inodesUsed: nested(4, UInt64Value),
});
export const ListContainerStatsResponse = message({
  stats: repeated(
    1,
    message({
      attributes: nested(1, message({ id: string(1), metadata: nested(2, ContainerMetadata), labels: stringMap(3) })),
      cpu: nested(2, message({ timestamp: integer(1), usageCoreNanoSeconds: nested(2, UInt64Value), usageNanoCores: nested(3, UInt64Value) })),
      memory: nested(3, message({ timestamp: integer(1), workingSetBytes: nested(2, UInt64Value) })),
      writableLayer: nested(4, FilesystemUsage),
    }),
  ),
});

// The runtime itself

export const VersionRequest = message({ version: string(1) });
export const VersionResponse = message({ version: string(1), runtimeName: string(2), runtimeVersion: string(3), runtimeApiVersion: string(4) });
export const StatusResponse = message({
  status: nested(1, message({ conditions: repeated(1, message({ type: string(1), status: boolean(2), reason: string(3), message: string(4) })) })),
  runtimeHandlers: repeated(
    3,
    message({ name: string(1), features: nested(2, message({ recursiveReadOnlyMounts: boolean(1), userNamespaces: boolean(2) })) }),
  ),
  features: nested(4, message({ supplementalGroupsPolicy: boolean(1) })),
});
export const UpdateRuntimeConfigRequest = message({
  runtimeConfig: nested(1, message({ networkConfig: nested(1, message({ podCidr: string(1) })) })),
});

// Images

export const Image = message({
  id: string(1),
  repoTags: strings(2),
  repoDigests: strings(3),
  size: integer(4),
  uid: nested(5, Int64Value),
  username: string(6),
  pinned: boolean(8),
});
export const ImageRequest = message({ image: nested(1, ImageSpec) });
export const ListImagesResponse = message({ images: repeated(1, Image) });
export const ImageStatusResponse = message({ image: nested(1, Image) });
export const PullImageRequest = message({
  image: nested(1, ImageSpec),
  auth: nested(
    2,
    message({
      username: string(1),
      password: string(2),
      auth: string(3),
      serverAddress: string(4),
      identityToken: string(5),
      registryToken: string(6),
    }),
  ),
  sandboxConfig: nested(3, PodSandboxConfig),
});
export const PullImageResponse = message({ imageRef: string(1) });
export const ImageFsInfoResponse = message({ imageFilesystems: repeated(1, FilesystemUsage) });

// containerd's event service (`containerd.services.events.v1`)

export const SubscribeRequest = message({ filters: strings(1) });
export const EventEnvelope = message({
  namespace: string(2),
  topic: string(3),
  event: nested(4, message({ typeUrl: string(1), value: bytes(2) })),
});
/** What task and container events have in common: field 1 is the container; field 2 of an exit the process (the container's id, or an exec's). */
export const TaskEvent = message({ containerId: string(1) });
export const TaskExit = message({ containerId: string(1), id: string(2), pid: integer(3), exitStatus: integer(4) });
