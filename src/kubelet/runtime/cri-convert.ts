/** Between the kubelet's words (`runtime.ts`) and CRI's messages. */
import type {
  Container,
  ContainerConfig,
  ContainerSecurity,
  ContainerState,
  ContainerStatus,
  IdMapping,
  Image,
  ImageAuth,
  LinuxResources,
  Mount,
  RuntimeStatus,
  Sandbox,
  SandboxConfig,
  SandboxStatus,
  SecurityProfile,
} from './runtime.ts';
import type * as messages from './cri-messages.ts';
import type { Decoded, Encodable } from './cri-protobuf.ts';

type SandboxMessage = Decoded<typeof messages.PodSandbox>;
type SandboxStatusMessage = Decoded<typeof messages.PodSandboxStatus>;
type ContainerMessage = Decoded<typeof messages.Container>;
type ContainerStatusMessage = Decoded<typeof messages.ContainerStatus>;

const nanosecondsPerMs = 1_000_000;

export function sandboxConfigMessage(config: SandboxConfig): Encodable<typeof messages.PodSandboxConfig> {
  return {
    metadata: { name: config.name, uid: config.uid, namespace: config.namespace, attempt: config.attempt },
    hostname: config.hostname,
    logDirectory: config.logDirectory,
    dnsConfig: config.dns,
    portMappings: config.portMappings,
    labels: config.labels,
    annotations: config.annotations,
    linux: {
      cgroupParent: config.cgroupParent,
      sysctls: config.sysctls,
      securityContext: {
        namespaceOptions: namespaceOptions(config),
        privileged: config.privileged,
        runAsUser: optionalInteger(config.runAsUser),
        runAsGroup: optionalInteger(config.runAsGroup),
        supplementalGroups: config.supplementalGroups,
        supplementalGroupsPolicy: config.supplementalGroupsPolicy,
        seccomp: securityProfile(config.seccompProfile),
      },
    },
  };
}

export function containerConfigMessage(config: ContainerConfig): Encodable<typeof messages.ContainerConfig> {
  return {
    metadata: { name: config.name, attempt: config.attempt },
    image: { image: config.image, userSpecifiedImage: config.image },
    command: config.command,
    args: config.args,
    workingDir: config.workingDir,
    envs: config.env,
    mounts: config.mounts.map((mount) => mountMessage(mount, config.security.users)),
    devices: config.devices,
    labels: config.labels,
    annotations: config.annotations,
    logPath: config.logPath,
    stdin: config.stdin,
    stdinOnce: config.stdinOnce,
    tty: config.tty,
    linux: { resources: resourcesMessage(config.resources), securityContext: containerSecurityMessage(config.security) },
  };
}

export function resourcesMessage(resources: LinuxResources): Encodable<typeof messages.UpdateContainerResourcesRequest>['linux'] {
  return {
    cpuPeriod: resources.cpuPeriod,
    cpuQuota: resources.cpuQuota,
    cpuShares: resources.cpuShares,
    memoryLimitInBytes: resources.memoryLimitBytes,
    oomScoreAdj: resources.oomScoreAdj,
    cpusetCpus: resources.cpus,
    cpusetMems: resources.memoryNodes,
  };
}

function mountMessage({ image, propagation, ...mount }: Mount, users: IdMapping | undefined): Encodable<typeof messages.Mount> {
  const ids = users === undefined ? undefined : [users];
  return {
    ...mount,
    propagation: propagationName[propagation],
    ...(image !== undefined && { image: { image } }),
    ...(ids && { uidMappings: ids, gidMappings: ids }),
  };
}

export function authMessage(auth: ImageAuth | undefined): Encodable<typeof messages.PullImageRequest>['auth'] {
  return auth;
}

export function sandboxOf(message: SandboxMessage | SandboxStatusMessage): Sandbox {
  return {
    id: message.id,
    name: message.metadata?.name ?? '',
    namespace: message.metadata?.namespace ?? '',
    uid: message.metadata?.uid ?? '',
    attempt: message.metadata?.attempt ?? 0,
    ready: message.state === 'SANDBOX_READY',
    createdAtMs: milliseconds(message.createdAt),
    labels: message.labels,
    annotations: message.annotations,
  };
}

export function sandboxStatusOf(message: SandboxStatusMessage): SandboxStatus {
  const first = message.network?.ip ?? '';
  const more = message.network?.additionalIps.map((additional) => additional.ip) ?? [];
  return { ...sandboxOf(message), ips: [first, ...more].filter((ip) => ip !== '') };
}

export function containerOf(message: ContainerMessage): Container {
  return { ...commonOf(message), sandboxId: message.podSandboxId };
}

export function containerStatusOf(message: ContainerStatusMessage, sandboxId: string): ContainerStatus {
  return {
    ...commonOf(message),
    sandboxId,
    startedAtMs: milliseconds(message.startedAt),
    finishedAtMs: milliseconds(message.finishedAt),
    exitCode: message.exitCode,
    reason: message.reason,
    message: message.message,
    logPath: message.logPath,
    mounts: message.mounts.map(mountOf),
    ...(message.user?.linux && { user: message.user.linux }),
  };
}

function mountOf({ containerPath, hostPath, readonly, propagation, recursiveReadOnly, image }: Decoded<typeof messages.Mount>): Mount {
  return {
    containerPath,
    hostPath,
    readonly,
    propagation: propagationOf[propagation],
    ...(recursiveReadOnly && { recursiveReadOnly }),
    ...(image && { image: image.image }),
  };
}

export function runtimeStatusOf({ status, runtimeHandlers, features }: Decoded<typeof messages.StatusResponse>): RuntimeStatus {
  return {
    conditions: status?.conditions ?? [],
    handlers: runtimeHandlers.map((handler) => ({
      name: handler.name,
      recursiveReadOnlyMounts: handler.features?.recursiveReadOnlyMounts === true,
      userNamespaces: handler.features?.userNamespaces === true,
    })),
    supplementalGroupsPolicy: features?.supplementalGroupsPolicy === true,
  };
}

export function imageOf(message: Decoded<typeof messages.Image>): Image {
  return {
    id: message.id,
    repoTags: message.repoTags,
    repoDigests: message.repoDigests,
    sizeBytes: message.size,
    ...(message.pinned && { pinned: true }),
    uid: message.uid?.value,
    username: message.username,
  };
}

export function milliseconds(nanoseconds: number): number {
  return nanoseconds <= 0 ? 0 : nanoseconds / nanosecondsPerMs;
}

function commonOf(message: ContainerMessage | ContainerStatusMessage): Omit<Container, 'sandboxId'> {
  return {
    id: message.id,
    name: message.metadata?.name ?? '',
    attempt: message.metadata?.attempt ?? 0,
    image: message.image?.image ?? '',
    imageRef: message.imageRef,
    state: stateOf[message.state],
    createdAtMs: milliseconds(message.createdAt),
    labels: message.labels,
    annotations: message.annotations,
  };
}

function containerSecurityMessage(security: ContainerSecurity): NonNullable<Encodable<typeof messages.ContainerConfig>['linux']>['securityContext'] {
  return {
    capabilities: { addCapabilities: security.addCapabilities, dropCapabilities: security.dropCapabilities },
    privileged: security.privileged,
    namespaceOptions: namespaceOptions(security),
    runAsUser: optionalInteger(security.runAsUser),
    runAsUsername: security.runAsUsername,
    runAsGroup: optionalInteger(security.runAsGroup),
    readonlyRootfs: security.readonlyRootfs,
    supplementalGroups: security.supplementalGroups,
    supplementalGroupsPolicy: security.supplementalGroupsPolicy,
    noNewPrivs: security.noNewPrivileges,
    maskedPaths: security.maskedPaths ?? [],
    readonlyPaths: security.readonlyPaths ?? [],
    seccomp: securityProfile(security.seccompProfile),
  };
}

function namespaceOptions(modes: Pick<ContainerSecurity, 'network' | 'pid' | 'ipc' | 'targetId' | 'users'>) {
  return {
    network: modeName[modes.network],
    pid: modeName[modes.pid],
    ipc: modeName[modes.ipc],
    targetId: modes.targetId,
    ...(modes.users && { usernsOptions: { mode: modeName.pod, uids: [modes.users], gids: [modes.users] } }),
  };
}

function optionalInteger(value: number | undefined): { readonly value: number } | undefined {
  return value === undefined ? undefined : { value };
}

function securityProfile(profile: SecurityProfile | undefined) {
  return profile === undefined ? undefined : { profileType: profile.type, localhostRef: profile.localhostRef };
}

const modeName = { pod: 'POD', container: 'CONTAINER', node: 'NODE', target: 'TARGET' } as const;

const propagationName = {
  private: 'PROPAGATION_PRIVATE',
  'host-to-container': 'PROPAGATION_HOST_TO_CONTAINER',
  bidirectional: 'PROPAGATION_BIDIRECTIONAL',
} as const;

const propagationOf = {
  PROPAGATION_PRIVATE: 'private',
  PROPAGATION_HOST_TO_CONTAINER: 'host-to-container',
  PROPAGATION_BIDIRECTIONAL: 'bidirectional',
} as const;

const stateOf: Readonly<Record<ContainerMessage['state'], ContainerState>> = {
  CONTAINER_CREATED: 'created',
  CONTAINER_RUNNING: 'running',
  CONTAINER_EXITED: 'exited',
  CONTAINER_UNKNOWN: 'unknown',
};
