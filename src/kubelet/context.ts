/** What the pod workers of one kubelet share. */
import type { Node, Pod, Service } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import type { World } from '../world/world.ts';
import type { CpuManager } from './cpu-manager.ts';
import type { DnsSettings } from './dns-config.ts';
import type { Host } from './host.ts';
import type { Images } from './images.ts';
import type { ObservedPods } from './observed-pods.ts';
import type { ProbeNetwork } from './runtime/probe-network.ts';
import type { ContainerRuntime, SandboxConfig } from './runtime/runtime.ts';
import type { KubeletCounters } from './stats/kubelet-counters.ts';
import type { StatusWriter } from './status-writer.ts';
import type { CsiVolumes } from './volumes/csi/csi-volumes.ts';
import type { WatchedObjects } from './watched-objects.ts';

export interface KubeletContext {
  readonly world: World;
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  /** The scheme of container ids: `containerd`. */
  readonly runtimeName: string;
  readonly network: ProbeNetwork;
  readonly host: Host;
  readonly observed: ObservedPods;
  readonly images: Images;
  readonly statuses: StatusWriter;
  readonly watched: WatchedObjects;
  readonly counters: KubeletCounters;
  /** Volumes of storage drivers. */
  readonly csi: CsiVolumes;
  readonly nodeName: string;
  readonly nodeIps: readonly string[];
  readonly rootDir: string;
  readonly logRoot: string;
  readonly seccompRoot: string;
  readonly memoryBytes: number;
  /** Where containers may have CPUs of their own; undefined otherwise. */
  readonly cpus: CpuManager | undefined;
  readonly seccompDefault: boolean;
  /** The longest a crashing container waits. */
  readonly crashBackOffMaxMs: number;
  readonly dns: DnsSettings;
  /** The node's /etc/hosts, for pods on the host's network. */
  readonly nodeHosts: string;
  readonly node: () => Node | undefined;
  /** The object that shows the pod in the API: itself, or the mirror of one from a file, once that is there. */
  readonly apiPod: (pod: Pod) => Pod | undefined;
  readonly networkReady: () => boolean;
  readonly services: (namespace: string) => readonly Service[];
  readonly masterService: () => Service | undefined;
  /** The handler of the pod's RuntimeClass; '' for the default. */
  readonly runtimeHandler: (pod: Pod) => Promise<string>;
  /** An event on the pod, or on one container of it. */
  readonly tell: (pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, container?: string) => void;
  readonly sandboxConfigOf: (pod: Pod, attempt: number) => Promise<SandboxConfig>;
}
