/**
 * What the kubelet needs of a container runtime: the shape of CRI v1 (RuntimeService and ImageService), in TypeScript's words. `cri.ts` speaks it
 * to containerd; `simulated.ts` pretends. Times are nanoseconds since the epoch on the wire and milliseconds here.
 */
import type { Duplex } from 'node:stream';
import type { ProbeNetwork } from './probe-network.ts';

export interface ContainerRuntime {
  /** A runtime without a real network answers probes and hooks itself; the others leave this out. */
  readonly probeNetwork?: ProbeNetwork;
  /** What a container has written, in the format of log files, where the runtime keeps no files; the others leave this out. */
  readonly keptLog?: (containerId: string) => Promise<string>;

  version(): Promise<{ runtimeName: string; runtimeVersion: string; runtimeApiVersion: string }>;
  status(): Promise<RuntimeStatus>;
  updateRuntimeConfig(podCidrs: string): Promise<void>;

  runPodSandbox(config: SandboxConfig): Promise<string>;
  /** Idempotent: stops all its containers by force and tears down the network. */
  stopPodSandbox(sandboxId: string): Promise<void>;
  removePodSandbox(sandboxId: string): Promise<void>;
  podSandboxStatus(sandboxId: string): Promise<SandboxStatus>;
  listPodSandboxes(): Promise<readonly Sandbox[]>;

  createContainer(sandboxId: string, config: ContainerConfig, sandbox: SandboxConfig): Promise<string>;
  startContainer(containerId: string): Promise<void>;
  /** SIGTERM (or the image's stop signal), after `timeoutSeconds` SIGKILL. Idempotent. */
  stopContainer(containerId: string, timeoutSeconds: number): Promise<void>;
  removeContainer(containerId: string): Promise<void>;
  listContainers(): Promise<readonly Container[]>;
  containerStatus(containerId: string): Promise<ContainerStatus>;
  updateContainerResources(containerId: string, resources: LinuxResources): Promise<void>;
  /** After the log file was renamed away. */
  reopenContainerLog(containerId: string): Promise<void>;
  /** Writes the state of what runs in it to a file. Rejects where the runtime or the machine cannot; 0 seconds is the runtime's own patience. */
  checkpointContainer(containerId: string, location: string, timeoutSeconds: number): Promise<void>;
  execSync(containerId: string, command: readonly string[], timeoutSeconds: number): Promise<ExecSyncResult>;
  /** Interactive: URL of the runtime's own streaming server, which speaks SPDY/3.1 and WebSocket v4 and older. */
  exec(request: ExecRequest): Promise<string>;
  attach(request: AttachRequest): Promise<string>;
  /** A byte stream to a port on the pod's loopback. */
  portForward(sandboxId: string, port: number): Promise<Duplex>;

  containerStats(): Promise<readonly ContainerStats[]>;

  pullImage(image: string, auth: ImageAuth | undefined, sandbox: SandboxConfig | undefined): Promise<string>;
  /** How far a pull that is under way has come; undefined when that is not known. A runtime that never knows leaves it out. */
  readonly pullProgress?: (image: string) => Promise<PullProgress | undefined>;
  /** Undefined when the image is not there. */
  imageStatus(image: string): Promise<Image | undefined>;
  listImages(): Promise<readonly Image[]>;
  removeImage(image: string): Promise<void>;
  imageFsUsage(): Promise<{ mountpoint: string; usedBytes: number; inodesUsed: number }>;

  /**
   * Tells of sandboxes and containers that changed, at once and by push (containerd's event service; CRI's stream from 1.7). Missing one is
   * allowed: the kubelet relists now and then. Ends when the signal aborts; reconnects by itself.
   */
  events(onEvent: (event: RuntimeEvent) => void, signal: AbortSignal): void;
  close(): void;
}

export interface RuntimeStatus {
  /** `RuntimeReady` and `NetworkReady`. */
  readonly conditions: readonly RuntimeCondition[];
  /** None where the runtime does not tell, as before containerd 2.0. */
  readonly handlers: readonly RuntimeHandler[];
  /** Whether it can leave out the groups that an image gives a user. */
  readonly supplementalGroupsPolicy: boolean;
}

/** What a RuntimeClass names; '' is the default. */
export interface RuntimeHandler {
  readonly name: string;
  readonly recursiveReadOnlyMounts: boolean;
  readonly userNamespaces: boolean;
}

export function handlerOf(status: RuntimeStatus | undefined, name: string): RuntimeHandler | undefined {
  return status?.handlers.find((handler) => handler.name === name);
}

export interface RuntimeCondition {
  readonly type: string;
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

/** Something happened to this container or sandbox; which pod it belongs to is looked up by its id. */
export interface RuntimeEvent {
  readonly id: string;
  readonly type: 'created' | 'started' | 'exited' | 'removed' | 'oom';
}

export interface PodIdentity {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

export interface PortMapping {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIp: string;
}

/** `target`: that of another container, whose id comes with it. */
export type NamespaceMode = 'pod' | 'container' | 'node' | 'target';

/** Users and groups of a pod's own: `length` of them from `containerId` on inside are those from `hostId` on outside. */
export interface IdMapping {
  readonly hostId: number;
  readonly containerId: number;
  readonly length: number;
}

export type SupplementalGroupsPolicy = 'Merge' | 'Strict';

export interface SandboxConfig extends PodIdentity {
  /** Counts sandboxes of one pod, from 0. */
  readonly attempt: number;
  readonly hostname: string;
  readonly logDirectory: string;
  readonly dns: { readonly servers: readonly string[]; readonly searches: readonly string[]; readonly options: readonly string[] };
  readonly portMappings: readonly PortMapping[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly cgroupParent: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  readonly ipc: NamespaceMode;
  readonly privileged: boolean;
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly supplementalGroups: readonly number[];
  readonly supplementalGroupsPolicy?: SupplementalGroupsPolicy;
  readonly seccompProfile?: SecurityProfile;
  readonly runtimeHandler: string;
  /** The host's users when absent. */
  readonly users?: IdMapping;
}

export interface SecurityProfile {
  readonly type: 'RuntimeDefault' | 'Unconfined' | 'Localhost';
  readonly localhostRef: string;
}

export interface Sandbox extends PodIdentity {
  readonly id: string;
  readonly attempt: number;
  readonly ready: boolean;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface SandboxStatus extends Sandbox {
  /** First is primary; empty for host network. */
  readonly ips: readonly string[];
}

export interface Mount {
  readonly containerPath: string;
  /** '' for an image. */
  readonly hostPath: string;
  /** An image, in the runtime's words, whose files are mounted, or a directory of them. */
  readonly image?: string;
  readonly imageSubPath?: string;
  readonly readonly: boolean;
  /** What is mounted below it is read-only too. */
  readonly recursiveReadOnly?: boolean;
  readonly propagation: 'private' | 'host-to-container' | 'bidirectional';
}

export interface Device {
  readonly containerPath: string;
  readonly hostPath: string;
  readonly permissions: string;
}

export interface LinuxResources {
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpuShares?: number;
  readonly memoryLimitBytes?: number;
  readonly oomScoreAdj?: number;
  /** `0-1,3`; any when absent. */
  readonly cpus?: string;
  /** NUMA nodes to have memory from, as a list of the same form; any when absent. */
  readonly memoryNodes?: string;
}

export interface ContainerConfig {
  readonly name: string;
  /** Counts restarts of one container of the pod, from 0. */
  readonly attempt: number;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly env: readonly { readonly key: string; readonly value: string }[];
  readonly mounts: readonly Mount[];
  readonly devices: readonly Device[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Below the sandbox's log directory. */
  readonly logPath: string;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly resources: LinuxResources;
  readonly security: ContainerSecurity;
}

export interface ContainerSecurity {
  readonly privileged: boolean;
  readonly addCapabilities: readonly string[];
  readonly dropCapabilities: readonly string[];
  readonly runAsUser?: number;
  readonly runAsUsername?: string;
  readonly runAsGroup?: number;
  readonly supplementalGroups: readonly number[];
  readonly supplementalGroupsPolicy?: SupplementalGroupsPolicy;
  readonly readonlyRootfs: boolean;
  readonly noNewPrivileges: boolean;
  readonly seccompProfile?: SecurityProfile;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  /** With `pid: 'target'`: whose processes it sees. */
  readonly targetId?: string;
  readonly ipc: NamespaceMode;
  /** The pod's; the host's users when absent. */
  readonly users?: IdMapping;
}

export type ContainerState = 'created' | 'running' | 'exited' | 'unknown';

export interface Container {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly imageRef: string;
  readonly state: ContainerState;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ContainerStatus extends Container {
  /** 0 while not started. */
  readonly startedAtMs: number;
  /** 0 while not finished. */
  readonly finishedAtMs: number;
  readonly exitCode: number;
  /** `Completed`, `Error`, `OOMKilled`, as the runtime names it. */
  readonly reason: string;
  readonly message: string;
  readonly logPath: string;
  readonly mounts: readonly Mount[];
  /** Whom its first process ran as at its start, where the runtime tells. */
  readonly user?: ContainerUser;
}

export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly supplementalGroups: readonly number[];
}

export interface ExecSyncResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number;
}

export interface ExecRequest {
  readonly containerId: string;
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export type AttachRequest = Omit<ExecRequest, 'command'>;

export interface ContainerStats {
  readonly containerId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly timestampMs: number;
  readonly cpuNanoseconds: number;
  /** Billionths of a core now, where the runtime knows. */
  readonly cpuNanoCores: number | undefined;
  readonly memoryWorkingSetBytes: number;
  readonly writableLayerBytes: number;
  readonly writableLayerInodes: number;
}

export interface Image {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly sizeBytes: number;
  /** The runtime itself needs it. */
  readonly pinned?: boolean;
  readonly uid: number | undefined;
  readonly username: string;
}

export interface PullProgress {
  readonly doneBytes: number;
  /** Of all layers, as they travel. */
  readonly totalBytes: number;
}

export interface ImageAuth {
  readonly username: string;
  readonly password: string;
  readonly serverAddress: string;
  readonly identityToken: string;
  readonly registryToken: string;
}
