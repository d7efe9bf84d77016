/**
 * Memory from nodes of their own for containers of guaranteed pods: promised here, and held to by the kernel through the container's `cpuset.mems`. Follows
 * upstream's static memory manager policy, and keeps its state in the same file. https://kubernetes.io/docs/tasks/administer-cluster/memory-manager/
 */
import type { Pod } from '../../api/kinds.ts';
import type { V1Container } from '../../api/types.ts';
import { formatCpuSet } from '../cpu-set.ts';
import type { PodContainer } from '../pod-spec.ts';
import { bytes } from '../resources.ts';
import type { MachineTopology } from './machine-topology.ts';
import { type NumaMask, hasNode, isNarrower, maskOf, masksOver, nodeCount, nodesIn } from './numa-mask.ts';
import { AllocationError, type ResourceProvider, placedContainers, podNeed } from './resource-provider.ts';
import type { HintsByResource, TopologyHint } from './topology-policy.ts';
import { entriesOf, savedEntries } from './state-file.ts';

export interface MemoryManagerOptions {
  readonly topology: MachineTopology;
  /** Bytes that are never given away, by node. */
  readonly reserved: ReadonlyMap<number, number>;
  /** What `state()` gave before, if anything. */
  readonly saved?: string;
}

interface Block {
  readonly mask: NumaMask;
  /** Beyond what it has of init containers before it. */
  readonly size: number;
  readonly isInit: boolean;
}

interface NodeMemory {
  readonly total: number;
  readonly reserved: number;
}

export class MemoryManager implements ResourceProvider {
  readonly #nodes: ReadonlyMap<number, NodeMemory>;
  readonly #blocks = new Map<string, Map<string, Block>>();

  constructor({ topology, reserved, saved = '' }: MemoryManagerOptions) {
    this.#nodes = new Map(topology.nodes.map(({ id, memoryBytes }) => [id, { total: memoryBytes, reserved: reserved.get(id) ?? 0 }]));
    this.#restore(saved);
  }

  hints(pod: Pod, { spec }: PodContainer): HintsByResource {
    const size = placedContainers(pod).some((container) => container.spec === spec) ? memoryOf(spec) : 0;
    if (size === 0) return new Map();
    const mine = this.#blocks.get(pod.metadata.uid)?.get(spec.name);
    if (mine) return new Map([['memory', [{ affinity: mine.mask, preferred: true }]]]);
    return new Map([['memory', this.#hintsFor(size, pod.metadata.uid)]]);
  }

  podHints(pod: Pod): HintsByResource {
    const size = podNeed(placedContainers(pod), memoryOf);
    if (size === 0) return new Map();
    const mine = [...(this.#blocks.get(pod.metadata.uid)?.values() ?? [])][0];
    if (mine) return new Map([['memory', [{ affinity: mine.mask, preferred: true }]]]);
    return new Map([['memory', this.#hintsFor(size, pod.metadata.uid)]]);
  }

  allocate(pod: Pod, { role, spec }: PodContainer, hint: TopologyHint): void {
    const { uid } = pod.metadata;
    const size = placedContainers(pod).some((container) => container.spec === spec) ? memoryOf(spec) : 0;
    if (size === 0 || this.#blocks.get(uid)?.has(spec.name) === true) return;
    const mask = this.#choose(size, uid, hint);
    const blocks = this.#blocks.get(uid) ?? new Map<string, Block>();
    this.#blocks.set(uid, blocks);
    // Init containers are over when the next one runs: what they had is had again, as far as it goes.
    let missing = size;
    for (const [name, block] of blocks) {
      if (!block.isInit || block.mask !== mask) continue;
      const again = Math.min(block.size, missing);
      missing -= again;
      blocks.set(name, { ...block, size: block.size - again });
    }
    blocks.set(spec.name, { mask, size, isInit: role === 'init' });
  }

  /** `0`, `0-1`: undefined for a container that may have its memory from anywhere. */
  memoryNodesOf(uid: string, container: string): string | undefined {
    const block = this.#blocks.get(uid)?.get(container);
    return block && formatCpuSet(nodesIn(block.mask));
  }

  release(uid: string): void {
    this.#blocks.delete(uid);
  }

  holders(): readonly string[] {
    return [...this.#blocks.keys()];
  }

  /** As upstream's `memory_manager_state`. */
  state(): string {
    const machineState = Object.fromEntries(
      [...this.#nodes].map(([id, { total, reserved }]) => {
        const here = this.#blocksOn(id);
        const taken = this.#takenFrom(id);
        const memory = { total, systemReserved: reserved, allocatable: total - reserved, reserved: taken, free: total - reserved - taken };
        const cells = nodesIn(here[0]?.mask ?? maskOf([id]));
        return [id, { numberOfAssignments: here.length, memoryMap: { memory }, cells }];
      }),
    );
    const entries = Object.fromEntries(
      [...this.#blocks].map(([uid, blocks]) => [
        uid,
        Object.fromEntries([...blocks].map(([name, { mask, size }]) => [name, [{ numaAffinity: nodesIn(mask), type: 'memory', size }]])),
      ]),
    );
    return JSON.stringify({ policyName: 'Static', machineState, entries });
  }

  #choose(size: number, uid: string, hint: TopologyHint): NumaMask {
    const ways = this.#hintsFor(size, uid);
    let { affinity } = hint;
    if (affinity === undefined) {
      const best = bestOf(ways);
      if (!best) throw new AllocationError('[memorymanager] failed to get the default NUMA affinity, no NUMA nodes with enough memory is available');
      if (!best.preferred && hint.preferred) throw new AllocationError('[memorymanager] failed to find the default preferred hint');
      affinity = best.mask;
    }
    const wanted = affinity;
    if (this.#freeIn(wanted) + this.#reusableOf(uid, wanted) < size) {
      // The nodes that were agreed on do not hold it: with more of them it may do.
      const wider = bestOf(ways.filter((way) => way.affinity !== undefined && (way.affinity & wanted) === wanted));
      if (!wider) throw new AllocationError('[memorymanager] failed to find NUMA nodes to extend the current topology hint');
      if (!wider.preferred && hint.preferred) throw new AllocationError('[memorymanager] failed to find the extended preferred hint');
      affinity = wider.mask;
    }
    if (!this.#mayHold(affinity)) throw new AllocationError('[memorymanager] preferred hint violates NUMA node allocation');
    return affinity;
  }

  #hintsFor(size: number, uid: string): readonly TopologyHint[] {
    const large = [...masksOver([...this.#nodes.keys()])].filter((mask) => this.#allocatableIn(mask) >= size);
    const least = Math.min(this.#nodes.size, ...large.map(nodeCount));
    return large
      .filter((mask) => this.#mayHold(mask) && this.#freeIn(mask) + this.#reusableOf(uid, mask) >= size)
      .map((affinity) => ({ affinity, preferred: nodeCount(affinity) === least }));
  }

  /** Nodes that give to some container together give to no other container alone, nor in another company. */
  #mayHold(mask: NumaMask): boolean {
    return nodesIn(mask).every((id) =>
      this.#blocksOn(id).every((block) => block.mask === mask || (nodeCount(block.mask) === 1 && nodeCount(mask) === 1)),
    );
  }

  #blocksOn(id: number): readonly Block[] {
    return [...this.#blocks.values()].flatMap((blocks) => [...blocks.values()].filter(({ mask }) => hasNode(mask, id)));
  }

  #allocatableIn(mask: NumaMask): number {
    return nodesIn(mask).reduce((sum, id) => sum + this.#allocatable(id), 0);
  }

  #freeIn(mask: NumaMask): number {
    return nodesIn(mask).reduce((sum, id) => sum + this.#allocatable(id) - this.#takenFrom(id), 0);
  }

  #allocatable(id: number): number {
    const { total, reserved } = this.#nodes.get(id) ?? { total: 0, reserved: 0 };
    return Math.max(0, total - reserved);
  }

  /** Of a block over several nodes, the first give first. */
  #takenFrom(id: number): number {
    const here = this.#blocksOn(id);
    let together = here.reduce((sum, { size }) => sum + size, 0);
    for (const other of nodesIn(here[0]?.mask ?? 0)) {
      if (other === id) break;
      together -= Math.min(together, this.#allocatable(other));
    }
    return Math.min(together, this.#allocatable(id));
  }

  #reusableOf(uid: string, mask: NumaMask): number {
    const blocks = [...(this.#blocks.get(uid)?.values() ?? [])];
    return blocks.filter((block) => block.isInit && block.mask === mask).reduce((sum, { size }) => sum + size, 0);
  }

  /** What does not fit this machine is not restored. */
  #restore(saved: string): void {
    for (const [uid, containers] of savedEntries(saved)) {
      const blocks = new Map<string, Block>();
      this.#blocks.set(uid, blocks);
      for (const [name, list] of entriesOf(containers)) {
        const block = readBlock(Array.isArray(list) ? list[0] : undefined);
        if (!block || !nodesIn(block.mask).every((id) => this.#nodes.has(id)) || !this.#mayHold(block.mask)) continue;
        if (this.#freeIn(block.mask) >= block.size) blocks.set(name, block);
      }
      if (blocks.size === 0) this.#blocks.delete(uid);
    }
  }
}

function bestOf(hints: readonly TopologyHint[]): { mask: NumaMask; preferred: boolean } | undefined {
  let best: { mask: NumaMask; preferred: boolean } | undefined;
  for (const { affinity: mask, preferred } of hints) {
    if (mask === undefined) continue;
    if (!best || (preferred && !best.preferred) || (preferred === best.preferred && isNarrower(mask, best.mask))) best = { mask, preferred };
  }
  return best;
}

function readBlock(value: unknown): Block | undefined {
  const { numaAffinity, size } = Object.fromEntries(entriesOf(value));
  if (!Array.isArray(numaAffinity) || numaAffinity.length === 0 || typeof size !== 'number' || !(size >= 0)) return undefined;
  const nodes = numaAffinity.filter((node): node is number => Number.isInteger(node) && node >= 0 && node < 30);
  return nodes.length === numaAffinity.length ? { mask: maskOf(nodes), size, isInit: false } : undefined;
}

function memoryOf({ resources }: V1Container): number {
  return bytes(resources?.requests?.memory ?? resources?.limits?.memory);
}
