/** Between the kubelet's words (`runtime.ts`) and CRI's messages. */
import type {
  Container,
  ContainerConfig,
  ContainerSecurity,
  ContainerState,
  ContainerStatus,
  Image,
  ImageAuth,
  LinuxResources,
  Mount,
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
    mounts: config.mounts.map((mount) => ({ ...mount, propagation: propagationName[mount.propagation] })),
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
    mounts: message.mounts.map((mount): Mount => ({ ...mount, propagation: propagationOf[mount.propagation] })),
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
    noNewPrivs: security.noNewPrivileges,
    maskedPaths: security.maskedPaths ?? (security.privileged ? [] : defaultMaskedPaths),
    readonlyPaths: security.readonlyPaths ?? (security.privileged ? [] : defaultReadonlyPaths),
    seccomp: securityProfile(security.seccompProfile),
  };
}

function namespaceOptions(modes: Pick<ContainerSecurity, 'network' | 'pid' | 'ipc' | 'targetId'>) {
  return { network: modeName[modes.network], pid: modeName[modes.pid], ipc: modeName[modes.ipc], targetId: modes.targetId };
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

/** What the kubelet hides of /proc and /sys with `procMount: Default`. */
const defaultMaskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

const defaultReadonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
