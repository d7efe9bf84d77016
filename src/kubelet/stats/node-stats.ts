/** The pages about use on a kubelet's server, each as it is sent. Loaded when the first of them is asked for. */
import type { Pod } from '../../api/kinds.ts';
import type { World } from '../../world/world.ts';
import type { Host } from '../host.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import { cadvisorMetrics } from './cadvisor-metrics.ts';
import type { KubeletCounters } from './kubelet-counters.ts';
import { kubeletMetrics, probeMetrics } from './kubelet-metrics.ts';
import { realMachine } from './machine.ts';
import { resourceMetrics } from './resource-metrics.ts';
import { summaryOf } from './summary.ts';
import { type PodPlaces, UsageReader } from './usage-reader.ts';

/** What a kubelet shows of itself to those who tell its figures. */
export interface StatsSubject {
  readonly host: Host;
  readonly counters: KubeletCounters;
  /** Undefined for a simulated node. */
  readonly places: PodPlaces | undefined;
}

export interface NodeStatsOptions {
  readonly world: World;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  readonly pods: () => readonly Pod[];
  readonly subject: StatsSubject;
}

export class NodeStats {
  readonly #options: NodeStatsOptions;
  readonly #reader: UsageReader;
  readonly #startedMs: number;

  constructor(options: NodeStatsOptions) {
    const { places } = options.subject;
    this.#options = options;
    this.#reader = new UsageReader({ ...options, host: places && { ...places, machine: realMachine() } });
    this.#startedMs = options.world.clock.now();
  }

  async summary(onlyCpuAndMemory: boolean): Promise<object> {
    return summaryOf(await this.#reader.read(onlyCpuAndMemory ? 'resources' : 'all'), onlyCpuAndMemory);
  }

  async resourceMetrics(): Promise<string> {
    return resourceMetrics(await this.#reader.read('resources'));
  }

  async cadvisorMetrics(): Promise<string> {
    return cadvisorMetrics(await this.#reader.read('all'), this.#options.subject.host.facts());
  }

  async kubeletMetrics(): Promise<string> {
    const { runtime, nodeName, pods, subject } = this.#options;
    const [sandboxes, containers] = await Promise.all([runtime.listPodSandboxes(), runtime.listContainers()]);
    return kubeletMetrics({ nodeName, startedMs: this.#startedMs, pods: pods(), sandboxes, containers }, subject.counters);
  }

  probeMetrics(): string {
    return probeMetrics(this.#options.subject.counters);
  }
}
