/** What a kubelet is given: who it is, whom it talks to, where its files lie, and what differs from upstream's defaults. */
import type { Pod } from '../api/kinds.ts';
import type { V1Taint } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Informers } from '../client/informer.ts';
import type { World } from '../world/world.ts';
import type { KubeletSettings, ReservedResources } from './configuration/settings.ts';
import type { Gauge } from './eviction/gauge.ts';
import type { Host } from './host.ts';
import type { ProviderSettings } from './image-pull/providers/provider-configuration.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';
import type { Manifests } from './static-pods/manifest-directory.ts';
import type { KubeletCounters } from './stats/kubelet-counters.ts';

export interface KubeletOptions {
  readonly world: World;
  /** With the node's own identity. */
  readonly client: Client;
  readonly informers: Informers;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  /** What the machine calls itself; the node's name when absent. */
  readonly hostname?: string;
  /** The first is primary. */
  readonly nodeIps: readonly string[];
  /** Pods' volumes and files live below it, in `pods/<uid>`. Made when missing. */
  readonly rootDir: string;
  /** Containers' logs live below it. `/var/log/pods` upstream; `<rootDir>/../pod-logs` is not assumed. */
  readonly logRoot: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly podPidsLimit?: number;
  readonly maxPods?: number;
  /** Where the kubelet's own server listens: goes into the Node's `daemonEndpoints`. */
  readonly serverPort: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly V1Taint[];
  /** Path of this cluster's cgroups below the mountpoint; `/` as upstream when absent. */
  readonly cgroupPrefix?: string;
  /** Kept back from pods, when it is not to follow from the settings. */
  readonly reserved?: Partial<ReservedResources>;
  /** What differs from upstream's defaults. */
  readonly settings?: Partial<KubeletSettings>;
  /** The settings in force as `/configz` shows them. */
  readonly shownSettings?: Readonly<Record<string, unknown>>;
  /** Tells what the node has left; read from the machine when absent, and on a simulated one not at all. */
  readonly gauge?: Gauge;
  /** The machine; the real one when absent. `simulatedHost()` goes with a simulated runtime. */
  readonly host?: Host;
  /** Whether pods' events that say that all is well are written, too; true when absent. */
  readonly normalEvents?: boolean;
  /** Files with pods that run whatever the API says. */
  readonly manifests?: Manifests;
  /** Programs that know the credentials of registries, and where they are. */
  readonly imageCredentials?: { readonly directory: string; readonly providers: readonly ProviderSettings[] };
  /** Waited for before a container starts, with the addresses its pod has: policies hold for it then. */
  readonly admitToNetwork?: (pod: Pod, addresses: readonly string[]) => Promise<void>;
  /** Counts what the kubelet does; shared with whoever else counts into it. */
  readonly counters?: KubeletCounters;
  /** How often the runtime is listed as a safety net; 10 s when absent. */
  readonly relistMs?: number;
}
