/** What the pod workers of one kubelet share. */
import { join } from 'node:path';
import { type Node, type Pod, RuntimeClass, Secret, type Service } from '../api/node-kinds.ts';
import type { Client } from '../client/client.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Informer } from '../client/informer.ts';
import { isReason } from '../machinery/errors.ts';
import type { World } from '../world/world.ts';
import type { Placement } from './allocation/placement.ts';
import type { KubeletSettings } from './configuration/settings.ts';
import type { DnsSettings } from './dns-config.ts';
import type { Host } from './host.ts';
import { type Images, createImages } from './images.ts';
import { createKeyring } from './image-pull/keyring.ts';
import { CredentialProvider } from './image-pull/providers/credential-provider.ts';
import { pluginProgram } from './image-pull/providers/plugin-program.ts';
import { PullRecords } from './image-pull/pull-records.ts';
import type { KubeletOptions } from './kubelet-options.ts';
import type { ObservedPods } from './observed-pods.ts';
import { containerFieldPath } from './pod-spec.ts';
import { realProbeNetwork } from './probe-network.ts';
import type { ProbeNetwork } from './runtime/probe-network.ts';
import type { ContainerRuntime, RuntimeStatus, SandboxConfig } from './runtime/runtime.ts';
import { sandboxConfigFor } from './sandboxes.ts';
import type { KubeletCounters } from './stats/kubelet-counters.ts';
import type { StatusWriter } from './status-writer.ts';
import { createUserNamespaces, type UserNamespaces } from './user-namespaces.ts';
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
  /** Where containers may have CPUs or memory of their own; undefined otherwise. */
  readonly placement: Placement | undefined;
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
  readonly runtimeStatus: () => RuntimeStatus | undefined;
  readonly users: UserNamespaces;
  readonly services: (namespace: string) => readonly Service[];
  readonly masterService: () => Service | undefined;
  /** The handler of the pod's RuntimeClass; '' for the default. */
  readonly runtimeHandler: (pod: Pod) => Promise<string>;
  /** An event on the pod, or on one container of it. */
  readonly tell: (pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, container?: string) => void;
  readonly sandboxConfigOf: (pod: Pod, attempt: number) => Promise<SandboxConfig>;
  /** Resolves when network policies hold for the pod with these addresses. */
  readonly admitToNetwork: (pod: Pod, addresses: readonly string[]) => Promise<void>;
}

/** What there is only when the kubelet runs is asked for when it is needed. */
export interface ContextParts {
  readonly options: KubeletOptions;
  readonly settings: KubeletSettings;
  readonly host: Host;
  readonly observed: ObservedPods;
  readonly statuses: StatusWriter;
  readonly watched: WatchedObjects;
  readonly counters: KubeletCounters;
  readonly csi: CsiVolumes;
  readonly recorder: EventRecorder;
  readonly services: Informer<Service>;
  readonly runtimeName: () => string;
  readonly placement: () => Placement | undefined;
  readonly node: KubeletContext['node'];
  readonly networkReady: KubeletContext['networkReady'];
  readonly runtimeStatus: KubeletContext['runtimeStatus'];
  readonly apiPod: KubeletContext['apiPod'];
}

const mostCredentialBytes = 2 ** 20;

function credentialProviders({ world, client, imageCredentials }: KubeletOptions): readonly CredentialProvider[] {
  if (!imageCredentials) return [];
  const { directory, providers } = imageCredentials;
  const run = pluginProgram(world);
  return providers.map((settings) => new CredentialProvider({ world, client, settings, program: join(directory, settings.name), run }));
}

export function createContext(parts: ContextParts): KubeletContext {
  const { options, settings, host, observed, statuses, watched, counters, csi, recorder, services, node, networkReady, runtimeStatus, apiPod } =
    parts;
  const { world, client, runtime, nodeName, nodeIps, rootDir, logRoot, clusterDns, clusterDomain } = options;
  const facts = host.facts();

  async function secret(namespace: string, name: string): Promise<Secret | undefined> {
    try {
      return await client.resource(Secret).namespace(namespace).get(name);
    } catch (error) {
      if (isReason(error, 'NotFound', 'Forbidden')) return undefined;
      throw error;
    }
  }

  async function runtimeHandler({ spec: { runtimeClassName } }: Pod): Promise<string> {
    if (runtimeClassName === undefined || runtimeClassName === '') return '';
    return (await client.resource(RuntimeClass).get(runtimeClassName)).handler;
  }

  const context: KubeletContext = {
    world,
    client,
    runtime,
    get runtimeName() {
      return parts.runtimeName();
    },
    network: runtime.probeNetwork ?? realProbeNetwork(world.clock),
    host,
    observed,
    images: createImages({
      world,
      runtime,
      keyring: createKeyring({
        secret,
        // Upstream's place for the node's own credentials, in Docker's format.
        nodeCredentials: async () => (await host.disk.readTail(join(rootDir, 'config.json'), mostCredentialBytes)) ?? '',
        providers: credentialProviders(options),
      }),
      records: new PullRecords({ world, disk: host.disk, rootDir, settings: settings.imageVerification }),
      maxParallelPulls: settings.serializeImagePulls ? 1 : settings.maxParallelImagePulls,
      rate: settings.imagePullRate,
    }),
    get placement() {
      return parts.placement();
    },
    seccompDefault: settings.seccompDefault,
    crashBackOffMaxMs: settings.crashBackOffMaxMs,
    statuses,
    watched,
    counters,
    csi,
    nodeName,
    nodeIps,
    rootDir,
    logRoot,
    seccompRoot: join(rootDir, 'seccomp'),
    memoryBytes: facts.memoryBytes,
    dns: { clusterDns, clusterDomain, host: facts.dns },
    nodeHosts: facts.hostsFile,
    node,
    apiPod,
    networkReady,
    runtimeStatus,
    users: createUserNamespaces({ disk: host.disk, rootDir, maxPods: options.maxPods ?? settings.maxPods }),
    services: (namespace) => services.list(namespace),
    masterService: () => services.get('kubernetes', 'default'),
    runtimeHandler,
    tell(pod, type, reason, message, container) {
      if (type === 'Normal' && options.normalEvents === false) return;
      recorder.event(pod, type, reason, message, container === undefined ? undefined : containerFieldPath(pod, container));
    },
    sandboxConfigOf: (pod, attempt) => sandboxConfigFor(context, pod, attempt),
    admitToNetwork: options.admitToNetwork ?? (() => Promise.resolve()),
  };
  return context;
}
