/** What a Node object says of its machine: labels, capacity, addresses, conditions, in upstream's words. Pure functions of facts. */
import type { V1NodeCondition, V1NodeStatus } from '../api/types.ts';
import { parseQuantity } from '../machinery/quantity.ts';
import { timestamp } from '../world/world.ts';
import type { ReservedResources } from './configuration/settings.ts';
import type { HostFacts } from './host.ts';
import type { Image, RuntimeCondition, RuntimeStatus } from './runtime/runtime.ts';

/** The version this kubelet speaks. */
export const kubeletVersion = 'v1.36.0';

export interface NodeFacts {
  readonly nodeName: string;
  readonly hostname: string;
  readonly nodeIps: readonly string[];
  readonly host: HostFacts;
  readonly maxPods: number;
  readonly serverPort: number;
  /** Kept back from pods. */
  readonly reserved: ReservedResources;
  readonly pressure: ReadonlySet<string>;
  readonly shuttingDown: boolean;
  readonly volumesInUse: readonly string[];
  readonly declaredFeatures: readonly string[];
  readonly runtimeVersion: string;
  /** Undefined while it does not answer. */
  readonly runtimeStatus: RuntimeStatus | undefined;
  readonly images: readonly Image[];
  readonly nowMs: number;
}

export function nodeLabels({ nodeName, host }: { nodeName: string; host: HostFacts }): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': host.architecture,
    'beta.kubernetes.io/os': host.operatingSystem,
    'kubernetes.io/arch': host.architecture,
    'kubernetes.io/hostname': nodeName,
    'kubernetes.io/os': host.operatingSystem,
  };
}

/** `previous` gives the transition times of conditions that did not change. */
export function nodeStatus(facts: NodeFacts, previous: readonly V1NodeCondition[]): V1NodeStatus {
  const { host, reserved, maxPods } = facts;
  const capacity = resources(host.cpus * 1000, host.memoryBytes, host.ephemeralStorageBytes, maxPods);
  const allocatable = resources(
    host.cpus * 1000 - reserved.cpuMillis,
    host.memoryBytes - reserved.memoryBytes,
    host.ephemeralStorageBytes - reserved.storageBytes,
    maxPods,
    true,
  );
  return {
    capacity,
    allocatable,
    addresses: [...facts.nodeIps.map((address) => ({ type: 'InternalIP', address })), { type: 'Hostname', address: facts.hostname }],
    conditions: nodeConditions(facts, previous),
    daemonEndpoints: { kubeletEndpoint: { Port: facts.serverPort } },
    nodeInfo: {
      architecture: host.architecture,
      bootID: host.bootId,
      containerRuntimeVersion: facts.runtimeVersion,
      kernelVersion: host.kernelVersion,
      // Of no use since v1.31, but required.
      kubeProxyVersion: '',
      kubeletVersion,
      machineID: host.machineId,
      operatingSystem: host.operatingSystem,
      osImage: host.osImage,
      systemUUID: host.systemUuid,
    },
    images: nodeImages(facts.images),
    ...(facts.runtimeStatus && runtimeFeatures(facts.runtimeStatus)),
    declaredFeatures: [...facts.declaredFeatures],
    ...(facts.volumesInUse.length > 0 && { volumesInUse: [...facts.volumesInUse] }),
  };
}

function resources(cpuMillis: number, memoryBytes: number, storageBytes: number, pods: number, exact = false): Record<string, string> {
  // As the API server writes them: a status that it would write otherwise differs for ever.
  const written = (text: string): string => parseQuantity(text).toString();
  return {
    cpu: written(`${cpuMillis}m`),
    'ephemeral-storage': exact ? String(storageBytes) : written(`${Math.floor(storageBytes / 1024)}Ki`),
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    memory: written(`${Math.floor(memoryBytes / 1024)}Ki`),
    pods: String(pods),
  };
}

/** What newer runtimes tell of themselves. */
function runtimeFeatures({ handlers, supplementalGroupsPolicy }: RuntimeStatus): Pick<V1NodeStatus, 'features' | 'runtimeHandlers'> {
  return {
    ...(supplementalGroupsPolicy && { features: { supplementalGroupsPolicy } }),
    ...(handlers.length > 0 && {
      runtimeHandlers: handlers
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, recursiveReadOnlyMounts, userNamespaces }) => ({ name, features: { recursiveReadOnlyMounts, userNamespaces } })),
    }),
  };
}

const pressures = [
  {
    type: 'MemoryPressure',
    under: { reason: 'KubeletHasInsufficientMemory', message: 'kubelet has insufficient memory available' },
    free: { reason: 'KubeletHasSufficientMemory', message: 'kubelet has sufficient memory available' },
  },
  {
    type: 'DiskPressure',
    under: { reason: 'KubeletHasDiskPressure', message: 'kubelet has disk pressure' },
    free: { reason: 'KubeletHasNoDiskPressure', message: 'kubelet has no disk pressure' },
  },
  {
    type: 'PIDPressure',
    under: { reason: 'KubeletHasInsufficientPID', message: 'kubelet has insufficient PID available' },
    free: { reason: 'KubeletHasSufficientPID', message: 'kubelet has sufficient PID available' },
  },
];

/** The largest first, no more than upstream's 50. */
function nodeImages(images: readonly Image[]): { names: string[]; sizeBytes: number }[] {
  return images
    .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
    .slice(0, 50)
    .map(({ repoDigests, repoTags, sizeBytes }) => ({ names: [...repoDigests, ...repoTags].slice(0, 5), sizeBytes }));
}

function nodeConditions({ runtimeStatus, pressure, shuttingDown, nowMs }: NodeFacts, previous: readonly V1NodeCondition[]): V1NodeCondition[] {
  const wanted: Omit<V1NodeCondition, 'lastHeartbeatTime' | 'lastTransitionTime'>[] = [
    ...pressures.map(({ type, under, free }) => (pressure.has(type) ? { type, status: 'True', ...under } : { type, status: 'False', ...free })),
    readyCondition(runtimeStatus?.conditions, shuttingDown),
  ];
  return wanted.map((condition) => {
    const before = previous.find(({ type }) => type === condition.type);
    return {
      ...condition,
      lastHeartbeatTime: timestamp(nowMs),
      lastTransitionTime:
        before?.status === condition.status && before.lastTransitionTime !== undefined ? before.lastTransitionTime : timestamp(nowMs),
    };
  });
}

function readyCondition(
  conditions: readonly RuntimeCondition[] | undefined,
  shuttingDown: boolean,
): { type: string; status: string; reason: string; message: string } {
  const problems: string[] = shuttingDown ? ['node is shutting down'] : [];
  if (!conditions) problems.push('container runtime is down');
  const runtime = conditions?.find(({ type }) => type === 'RuntimeReady');
  const network = conditions?.find(({ type }) => type === 'NetworkReady');
  const words = ({ reason, message }: RuntimeCondition, type: string): string => `${type}=false reason:${reason} message:${message}`;
  if (conditions && !runtime?.status)
    problems.push(
      runtime ? `container runtime not ready: ${words(runtime, 'RuntimeReady')}` : 'container runtime status check may not have completed yet',
    );
  if (conditions && network?.status !== true)
    problems.push(`container runtime network not ready: ${network ? words(network, 'NetworkReady') : 'network state unknown'}`);
  if (problems.length === 0) return { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' };
  const message = problems.length === 1 ? (problems[0] ?? '') : `[${problems.join(', ')}]`;
  return { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message };
}
