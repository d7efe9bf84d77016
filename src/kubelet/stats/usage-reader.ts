/**
 * Reads what the node, its pods and their containers use: from the pods' cgroups where the machine has them, and from the container runtime otherwise (a
 * runtime that keeps cgroups elsewhere, a simulated node). Upstream's `pkg/kubelet/stats` over cAdvisor and CRI.
 */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Pod } from '../../api/kinds.ts';
import type { World } from '../../world/world.ts';
import { containerNameLabel, podUidLabel } from '../labels.ts';
import { podDirectories, podLogDirectory } from '../pod-directories.ts';
import type { Container, ContainerRuntime, ContainerStats, Sandbox } from '../runtime/runtime.ts';
import { DirectoryUsages } from './directory-usage.ts';
import type { Machine } from './machine.ts';
import { Rates } from './rates.ts';
import type { ContainerUsage, CpuUsage, FilesystemUsage, MemoryUsage, NodeUsage, PodUsage, Usage, VolumeUsage } from './usage.ts';

/** Where a kubelet on a real machine keeps what is its pods'. */
export interface ClaimedUsage {
  /** The pod's name for the volume. */
  readonly name: string;
  readonly claim: string;
  readonly figures: Omit<FilesystemUsage, 'timeMs'>;
}

export interface PodPlaces {
  /** Below the cgroups' mount point, from `/`. */
  readonly cgroupOf: (pod: Pod) => string;
  /** That of all pods together. */
  readonly podsCgroup?: string;
  readonly rootDir: string;
  readonly logRoot: string;
  /** What the volumes behind the pod's claims hold. */
  readonly claimed?: (pod: Pod) => Promise<readonly ClaimedUsage[]>;
}

export interface StatsMachine extends PodPlaces {
  readonly machine: Machine;
}

export interface UsageReaderOptions {
  readonly world: World;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  readonly pods: () => readonly Pod[];
  /** Undefined for a simulated node. */
  readonly host: StatsMachine | undefined;
}

/** `resources` is CPU and memory alone, which is what autoscalers ask for every few seconds; `all` adds disks, networks and the finer figures. */
export type Depth = 'resources' | 'all';

const nodeKey = 'node';

export class UsageReader {
  readonly #options: UsageReaderOptions;
  readonly #rates = new Rates();
  readonly #directories: DirectoryUsages;
  readonly #startedMs: number;

  constructor(options: UsageReaderOptions) {
    this.#options = options;
    this.#directories = new DirectoryUsages(options.world.clock);
    this.#startedMs = options.world.clock.now();
  }

  async read(depth: Depth): Promise<Usage> {
    const { runtime, host } = this.#options;
    const [sandboxes, containers] = await Promise.all([runtime.listPodSandboxes(), runtime.listContainers()]);
    // The runtime is asked only for what cgroups do not tell: it has to ask each container's shim in turn.
    const stats = host === undefined || depth === 'all' ? await runtime.containerStats() : [];
    const reading = new Reading(stats, containers);
    const known = new Map(this.#options.pods().map((pod) => [pod.metadata.uid, pod]));
    const pods: PodUsage[] = [];
    for (const sandbox of sandboxes) {
      if (sandbox.ready) pods.push(await this.#pod(sandbox, known.get(sandbox.uid), reading, depth));
    }
    const node = await this.#node(pods, depth);
    this.#rates.keepOnly(reading.keys.add(nodeKey).add('pods').add('kubelet'));
    return { node, pods, incomplete: reading.incomplete };
  }

  async #pod(sandbox: Sandbox, pod: Pod | undefined, reading: Reading, depth: Depth): Promise<PodUsage> {
    const { host } = this.#options;
    const cgroup = host === undefined || pod === undefined ? '' : host.cgroupOf(pod);
    const containers: ContainerUsage[] = [];
    for (const container of reading.runningIn(sandbox.id)) {
      const usage = await this.#container(container, cgroup, pod, reading, depth);
      if (usage === undefined) reading.incomplete = true;
      else containers.push(usage);
    }
    const counters = cgroup === '' ? undefined : host?.machine.cgroups.counters(cgroup);
    const total = counters ?? sum(containers);
    const timeMs = this.#now();
    return {
      name: sandbox.name,
      namespace: sandbox.namespace,
      uid: sandbox.uid,
      sandboxId: sandbox.id,
      cgroup,
      startedMs: sandbox.createdAtMs,
      cpu:
        counters === undefined
          ? { timeMs, nanoseconds: total.cpuNanoseconds, nanoCores: sumOfRates(containers) }
          : this.#cpu(reading, `pod ${sandbox.uid}`, counters.cpuNanoseconds, undefined),
      memory: { timeMs, ...total.memory },
      details: depth === 'all' && counters !== undefined ? host?.machine.cgroups.details(cgroup) : undefined,
      containers,
      interfaces: depth === 'all' && pod?.spec.hostNetwork !== true ? this.#interfaces(join(cgroup, sandbox.id)) : undefined,
      volumes: depth === 'all' && host !== undefined && pod !== undefined ? await this.#volumes(host, pod) : [],
    };
  }

  async #container(
    { id, image, createdAtMs, labels, name }: Container,
    podCgroup: string,
    pod: Pod | undefined,
    reading: Reading,
    depth: Depth,
  ): Promise<ContainerUsage | undefined> {
    const { host } = this.#options;
    const cgroup = podCgroup === '' ? '' : join(podCgroup, id);
    const counters = cgroup === '' ? undefined : host?.machine.cgroups.counters(cgroup);
    if (counters === undefined) await reading.askRuntime(this.#options.runtime);
    const told = reading.statsOf(id);
    if (counters === undefined && told === undefined) return undefined;
    const timeMs = this.#now();
    const details = depth === 'all' && counters !== undefined ? host?.machine.cgroups.details(cgroup) : undefined;
    return {
      id,
      name: labels[containerNameLabel] ?? name,
      // The runtime has it by its digest; people know it by the name the pod gives.
      image: pod?.spec.containers.find((spec) => spec.name === name)?.image ?? image,
      cgroup,
      startedMs: createdAtMs,
      cpu: this.#cpu(reading, id, counters?.cpuNanoseconds ?? told?.cpuNanoseconds ?? 0, told?.cpuNanoCores),
      memory: { timeMs, ...(counters?.memory ?? memoryOf(told)) },
      swapBytes: details?.swapBytes,
      details,
      rootfs: told && { timeMs, usedBytes: told.writableLayerBytes, inodesUsed: told.writableLayerInodes },
      logs: depth === 'all' && host !== undefined && pod !== undefined ? await this.#logs(host, pod, name) : undefined,
    };
  }

  async #node(pods: readonly PodUsage[], depth: Depth): Promise<NodeUsage> {
    const { host, nodeName: name, runtime } = this.#options;
    if (host === undefined) return this.#simulatedNode(pods);
    const { machine } = host;
    const counters = machine.counters();
    const timeMs = this.#now();
    const cpu = (key: string, nanoseconds: number): CpuUsage => ({ timeMs, nanoseconds, nanoCores: this.#rates.next(key, timeMs, nanoseconds) });
    const node = {
      name,
      startedMs: counters.bootMs,
      cpu: cpu(nodeKey, counters.cpuNanoseconds),
      memory: { timeMs, ...counters.memory },
      memoryBytes: counters.memoryBytes,
    };
    if (depth === 'resources') return { ...node, interfaces: [], processes: undefined, fs: undefined, imageFs: undefined, system: [] };
    const own = process.cpuUsage();
    const { rss } = process.memoryUsage();
    // Their group also has what ended pods left in it, and the limit they are held to together.
    const together = (host.podsCgroup === undefined ? undefined : machine.cgroups.counters(host.podsCgroup)) ?? sum(pods);
    const { mountpoint, usedBytes, inodesUsed } = await runtime.imageFsUsage();
    const [fs, imageFs] = await Promise.all([this.#filesystem(machine, host.rootDir), this.#filesystem(machine, mountpoint)]);
    return {
      ...node,
      interfaces: machine.interfaces() ?? [],
      processes: counters.processes,
      fs,
      imageFs: imageFs && { ...imageFs, usedBytes, inodesUsed },
      system: [
        {
          name: 'kubelet',
          cpu: cpu('kubelet', (own.user + own.system) * 1000),
          memory: { timeMs, ...noMemory, usageBytes: rss, workingSetBytes: rss, rssBytes: rss },
        },
        { name: 'pods', cpu: cpu('pods', together.cpuNanoseconds), memory: { timeMs, ...together.memory } },
      ],
    };
  }

  #simulatedNode(pods: readonly PodUsage[]): NodeUsage {
    const timeMs = this.#now();
    const { cpuNanoseconds: nanoseconds, memory } = sum(pods);
    return {
      name: this.#options.nodeName,
      startedMs: this.#startedMs,
      cpu: { timeMs, nanoseconds, nanoCores: sumOfRates(pods) ?? 0 },
      memory: { timeMs, ...memory },
      memoryBytes: 0,
      interfaces: [],
      processes: undefined,
      fs: undefined,
      imageFs: undefined,
      system: [],
    };
  }

  #cpu(reading: Reading, key: string, nanoseconds: number, told: number | undefined): CpuUsage {
    const timeMs = this.#now();
    reading.keys.add(key);
    const measured = this.#rates.next(key, timeMs, nanoseconds);
    return { timeMs, nanoseconds, nanoCores: told ?? measured };
  }

  #interfaces(sandboxCgroup: string): PodUsage['interfaces'] {
    const machine = this.#options.host?.machine;
    const pid = machine?.cgroups.process(sandboxCgroup);
    return pid === undefined ? undefined : machine?.interfaces(pid);
  }

  async #filesystem(machine: Machine, path: string): Promise<FilesystemUsage | undefined> {
    const found = await machine.filesystem(path);
    return found && { timeMs: this.#now(), ...found };
  }

  async #logs({ logRoot }: StatsMachine, pod: Pod, container: string): Promise<ContainerUsage['logs']> {
    const directory = join(podLogDirectory(logRoot, pod), container);
    return (await this.#directories.of(directory)) ?? { timeMs: this.#now(), usedBytes: 0, inodesUsed: 0 };
  }

  /** Of those volumes that have a directory of the pod's, `volumes/<plugin>/<volume>`, and of those behind claims. */
  async #volumes({ rootDir, claimed }: StatsMachine, pod: Pod): Promise<VolumeUsage[]> {
    const { metadata, spec } = pod;
    const root = podDirectories(rootDir, metadata.uid).volumes;
    const volumes: VolumeUsage[] = [];
    for (const plugin of await readdir(root).catch(() => [])) {
      for (const directory of await readdir(join(root, plugin)).catch(() => [])) {
        const usage = await this.#directories.of(join(root, plugin, directory));
        const volume = spec.volumes?.find(({ name }) => name === basename(directory));
        if (usage !== undefined && volume !== undefined) volumes.push({ name: volume.name, usage, claim: undefined });
      }
    }
    const timeMs = this.#now();
    for (const { name, claim, figures } of (await claimed?.(pod)) ?? []) {
      const filesystem = { timeMs, ...figures };
      volumes.push({ name, claim, usage: filesystem, filesystem });
    }
    return volumes;
  }

  #now(): number {
    return this.#options.world.clock.now();
  }
}

/** What the runtime said this time. */
class Reading {
  readonly keys = new Set<string>();
  incomplete = false;
  #stats: ReadonlyMap<string, ContainerStats>;
  #isAsked: boolean;
  readonly #bySandbox: ReadonlyMap<string, readonly Container[]>;

  constructor(stats: readonly ContainerStats[], containers: readonly Container[]) {
    this.#stats = byId(stats);
    this.#isAsked = stats.length > 0;
    this.#bySandbox = Map.groupBy(
      containers.filter(({ state, labels }) => state === 'running' && labels[podUidLabel] !== undefined),
      ({ sandboxId }) => sandboxId,
    );
  }

  runningIn(sandboxId: string): readonly Container[] {
    return this.#bySandbox.get(sandboxId) ?? [];
  }

  statsOf(containerId: string): ContainerStats | undefined {
    return this.#stats.get(containerId);
  }

  /** Once, for a container whose cgroup tells nothing. */
  async askRuntime(runtime: ContainerRuntime): Promise<void> {
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#stats = byId(await runtime.containerStats());
  }
}

function byId(stats: readonly ContainerStats[]): ReadonlyMap<string, ContainerStats> {
  return new Map(stats.map((entry) => [entry.containerId, entry]));
}

const noMemory: Omit<MemoryUsage, 'timeMs'> = {
  usageBytes: 0,
  workingSetBytes: 0,
  rssBytes: 0,
  pageFaults: 0,
  majorPageFaults: 0,
  limitBytes: undefined,
};

function memoryOf(stats: ContainerStats | undefined): Omit<MemoryUsage, 'timeMs'> {
  const bytes = stats?.memoryWorkingSetBytes ?? 0;
  return { ...noMemory, usageBytes: bytes, workingSetBytes: bytes, rssBytes: bytes };
}

function sum(parts: readonly { readonly cpu: CpuUsage; readonly memory: MemoryUsage }[]): {
  readonly cpuNanoseconds: number;
  readonly memory: Omit<MemoryUsage, 'timeMs'>;
} {
  const total = (read: (memory: MemoryUsage) => number): number => parts.reduce((all, { memory }) => all + read(memory), 0);
  return {
    cpuNanoseconds: parts.reduce((all, { cpu }) => all + cpu.nanoseconds, 0),
    memory: {
      usageBytes: total(({ usageBytes }) => usageBytes),
      workingSetBytes: total(({ workingSetBytes }) => workingSetBytes),
      rssBytes: total(({ rssBytes }) => rssBytes),
      pageFaults: total(({ pageFaults }) => pageFaults),
      majorPageFaults: total(({ majorPageFaults }) => majorPageFaults),
      limitBytes: undefined,
    },
  };
}

function sumOfRates(parts: readonly { readonly cpu: CpuUsage }[]): number | undefined {
  const rates = parts.flatMap(({ cpu }) => cpu.nanoCores ?? []);
  return rates.length === 0 ? undefined : rates.reduce((all, rate) => all + rate, 0);
}
