/**
 * Gives containers their own part of the machine, CPUs and memory that are near to each other, before a pod may start. Upstream: the topology manager with
 * the CPU and memory managers behind it.
 */
import type { Pod } from '../../api/kinds.ts';
import type { Rejection } from '../admission.ts';
import type { PodContainer } from '../pod-spec.ts';
import { qosClass } from '../qos.ts';
import { changedResources } from '../resize/container-change.ts';
import type { CpuManager } from './cpu-manager.ts';
import type { MemoryManager } from './memory-manager.ts';
import { AllocationError, type ResourceProvider, placedContainers } from './resource-provider.ts';
import { type Agreement, type TopologySetting, agree } from './topology-policy.ts';

/** Where a container runs; anywhere when absent. Lists as the kernel writes them. */
export interface ContainerPlace {
  readonly cpus?: string;
  readonly memoryNodes?: string;
}

export interface PlacementOptions {
  readonly cpus: CpuManager | undefined;
  readonly memory: MemoryManager | undefined;
  readonly topology: TopologySetting & {
    /** Whether containers agree each for itself, or all of a pod together. */
    readonly scope: 'container' | 'pod';
  };
  /** Shares changed: the state is to be kept, and what shares CPUs is to be moved. */
  readonly onChange: () => void;
}

export class Placement {
  readonly #cpus: CpuManager | undefined;
  readonly #memory: MemoryManager | undefined;
  readonly #providers: readonly ResourceProvider[];
  readonly #topology: PlacementOptions['topology'];
  readonly #onChange: () => void;

  constructor({ cpus, memory, topology, onChange }: PlacementOptions) {
    this.#cpus = cpus;
    this.#memory = memory;
    this.#providers = [cpus, memory].filter((provider) => provider !== undefined);
    this.#topology = topology;
    this.#onChange = onChange;
  }

  /** Gives the pod what is to be its own, all of it or nothing; a pod that has it keeps it. */
  admit(pod: Pod): Rejection | undefined {
    const { uid } = pod.metadata;
    const containers = placedContainers(pod);
    if (containers.length === 0 || this.#holders().has(uid)) return undefined;
    try {
      const together = this.#topology.scope === 'pod' ? this.#agreed(this.#providers.map((provider) => provider.podHints(pod))) : undefined;
      for (const container of containers) this.#place(pod, container, together);
    } catch (error) {
      for (const provider of this.#providers) provider.release(uid);
      if (!(error instanceof AllocationError)) throw error;
      return { reason: error.reason, message: `Pod was rejected: ${error.message}` };
    }
    if (this.#holders().has(uid)) this.#onChange();
    return undefined;
  }

  placeOf(uid: string, container: string): ContainerPlace {
    const cpus = this.#cpus?.cpusetOf(uid, container);
    const memoryNodes = this.#memory?.memoryNodesOf(uid, container);
    return { ...(cpus !== undefined && { cpus }), ...(memoryNodes !== undefined && { memoryNodes }) };
  }

  /** The CPUs of those who have none of their own; undefined for those who have. */
  sharedCpusOf(uid: string, container: string): string | undefined {
    return this.#cpus?.isExclusive(uid, container) === false ? this.#cpus.cpusetOf(uid, container) : undefined;
  }

  /** Why a running pod may not have other resources: what was given stays as it is. */
  obstacle(before: Pod, after: Pod): string | undefined {
    if (qosClass(before) !== 'Guaranteed') return undefined;
    const changes = (name: string): boolean =>
      after.spec.containers.some(({ name: container, resources }) => {
        const old = before.spec.containers.find((candidate) => candidate.name === container)?.resources;
        return changedResources(old, resources).includes(name);
      });
    if (this.#cpus && changes('cpu')) return 'Resize is infeasible for Guaranteed Pods alongside CPU Manager policy "static"';
    if (this.#memory && changes('memory')) return 'Resize is infeasible for Guaranteed Pods alongside Memory Manager policy "Static"';
    return undefined;
  }

  release(uid: string): void {
    if (!this.#holders().has(uid)) return;
    for (const provider of this.#providers) provider.release(uid);
    this.#onChange();
  }

  /** Lets go of what pods had that are not here any more. */
  keepOnly(known: { has(uid: string): boolean }): void {
    for (const uid of this.#holders()) if (!known.has(uid)) this.release(uid);
  }

  #place(pod: Pod, container: PodContainer, together: Agreement | undefined): void {
    const { hint } = together ?? this.#agreed(this.#providers.map((provider) => provider.hints(pod, container)));
    for (const provider of this.#providers) provider.allocate(pod, container, hint);
  }

  #agreed(hints: Parameters<typeof agree>[1]): Agreement {
    const agreement = agree(this.#topology, hints);
    if (!agreement.admitted) throw new AllocationError('Resources cannot be allocated with Topology locality', 'TopologyAffinityError');
    return agreement;
  }

  #holders(): ReadonlySet<string> {
    return new Set(this.#providers.flatMap((provider) => [...provider.holders()]));
  }
}
