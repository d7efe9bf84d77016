/**
 * CPUs of their own for containers of guaranteed pods that ask for whole ones; all others share the rest. Follows upstream's static CPU manager policy, and
 * keeps its state in the same file. https://kubernetes.io/docs/tasks/administer-cluster/cpu-management-policies/
 */
import type { Pod } from '../../api/kinds.ts';
import type { V1Container } from '../../api/types.ts';
import { formatCpuSet, parseCpuSet } from '../cpu-set.ts';
import type { PodContainer } from '../pod-spec.ts';
import { milli } from '../resources.ts';
import { type CpuPolicyOptions, noCpuOptions } from './cpu-policy-options.ts';
import type { MachineCpu, MachineTopology } from './machine-topology.ts';
import { hasNode, masksOver, nodeCount } from './numa-mask.ts';
import { AllocationError, type ResourceProvider, placedContainers, podNeed } from './resource-provider.ts';
import { spreadCpus, takeCpus } from './take-cpus.ts';
import type { HintsByResource, TopologyHint } from './topology-policy.ts';
import { entriesOf, savedEntries } from './state-file.ts';

export interface CpuManagerOptions {
  readonly topology: MachineTopology;
  /** How many are never given away, or which ones. */
  readonly reserved: number | readonly number[];
  readonly options?: CpuPolicyOptions;
  /** What `state()` gave before, if anything. */
  readonly saved?: string;
}

/** CPUs by container. */
type Shares = Map<string, readonly number[]>;

export class CpuManager implements ResourceProvider {
  readonly #cpus: readonly MachineCpu[];
  readonly #nodes: readonly number[];
  readonly #threads: number;
  readonly #reserved: ReadonlySet<number>;
  readonly #options: CpuPolicyOptions;
  readonly #assigned = new Map<string, Shares>();
  /** What init containers of a pod have, and those after them may have in their turn. */
  readonly #reusable = new Map<string, readonly number[]>();

  constructor({ topology, reserved, options = noCpuOptions, saved = '' }: CpuManagerOptions) {
    this.#cpus = topology.cpus;
    this.#nodes = topology.nodes.map(({ id }) => id);
    this.#threads = this.#cpus.length / new Set(this.#cpus.map(({ core }) => core)).size;
    this.#options = options;
    const all = this.#cpus.map(({ id }) => id);
    this.#reserved = new Set(typeof reserved === 'number' ? (takeCpus(this.#cpus, all, Math.min(reserved, all.length)) ?? []) : reserved);
    this.#restore(saved);
  }

  hints(pod: Pod, { role, spec }: PodContainer): HintsByResource {
    const count = placedContainers(pod).some((container) => container.spec === spec) ? wholeCpus(spec) : 0;
    if (count === 0) return new Map();
    const mine = this.#assigned.get(pod.metadata.uid)?.get(spec.name);
    if (mine) return new Map([['cpu', mine.length === count ? this.#hintsFrom(mine, count, mine) : []]]);
    const reusable = role === 'ephemeral' ? [] : (this.#reusable.get(pod.metadata.uid) ?? []);
    return new Map([['cpu', this.#hintsFrom([...this.#free(), ...reusable], count, reusable)]]);
  }

  podHints(pod: Pod): HintsByResource {
    const containers = placedContainers(pod);
    const count = podNeed(containers, wholeCpus);
    if (count === 0) return new Map();
    const mine = [...new Set([...(this.#assigned.get(pod.metadata.uid)?.values() ?? [])].flat())];
    if (mine.length > 0) return new Map([['cpu', mine.length === count ? this.#hintsFrom(mine, count, mine) : []]]);
    return new Map([['cpu', this.#hintsFrom(this.#free(), count, [])]]);
  }

  allocate(pod: Pod, { role, spec }: PodContainer, { affinity }: TopologyHint): void {
    const { uid } = pod.metadata;
    const count = placedContainers(pod).some((container) => container.spec === spec) ? wholeCpus(spec) : 0;
    if (count === 0 || this.#assigned.get(uid)?.has(spec.name) === true) return;
    this.#checkCores(count);
    const reusable = this.#reusable.get(uid) ?? [];
    const free = [...this.#free(), ...reusable];
    if (free.length < count) throw new AllocationError(`not enough cpus available to satisfy request: requested=${count}, available=${free.length}`);
    const near = affinity === undefined ? [] : this.#cpus.filter(({ node }) => hasNode(affinity, node)).map(({ id }) => id);
    const taken = this.#takeInTurn(count, free, [reusable, near]);
    const shares = this.#assigned.get(uid) ?? new Map();
    this.#assigned.set(uid, shares.set(spec.name, taken));
    // Init containers run one after another, and are over when the others run; a sidecar keeps what it has.
    this.#reusable.set(uid, role === 'init' ? [...new Set([...reusable, ...taken])] : reusable.filter((id) => !taken.includes(id)));
  }

  /** `2-3`. */
  cpusetOf(uid: string, container: string): string {
    return formatCpuSet(this.#assigned.get(uid)?.get(container) ?? this.#shared());
  }

  isExclusive(uid: string, container: string): boolean {
    return this.#assigned.get(uid)?.has(container) === true;
  }

  release(uid: string): void {
    this.#reusable.delete(uid);
    this.#assigned.delete(uid);
  }

  holders(): readonly string[] {
    return [...this.#assigned.keys()];
  }

  /** As upstream's `cpu_manager_state`. */
  state(): string {
    const entries = Object.fromEntries(
      [...this.#assigned].map(([uid, containers]) => [uid, Object.fromEntries([...containers].map(([name, cpus]) => [name, formatCpuSet(cpus)]))]),
    );
    return JSON.stringify({ policyName: 'static', defaultCpuSet: formatCpuSet(this.#shared()), entries });
  }

  #checkCores(count: number): void {
    if (!this.#options.wholeCores) return;
    if (count % this.#threads !== 0) {
      const message = `SMT Alignment Error: requested ${count} cpus not multiple cpus per core = ${this.#threads}`;
      throw new AllocationError(message, 'SMTAlignmentError');
    }
    // A reserved CPU spoils its core for those who want none but their own beside them.
    const spoiled = new Set(this.#cpus.filter(({ id }) => this.#reserved.has(id)).map(({ core }) => core));
    const whole = this.#cpus.filter(({ id, core }) => !spoiled.has(core) && this.#shared().includes(id)).length;
    if (count > whole) {
      const message = `SMT Alignment Error: not enough free physical CPUs: available physical CPUs = ${whole}, requested CPUs = ${count}, CPUs per core = ${this.#threads}`;
      throw new AllocationError(message, 'SMTAlignmentError');
    }
  }

  /** From the first of these as many as there are, then from the next, and what is missing then from any that is free. */
  #takeInTurn(count: number, free: readonly number[], turns: readonly (readonly number[])[]): readonly number[] {
    const taken: number[] = [];
    for (const turn of [...turns, free]) {
      const left = turn.filter((id) => free.includes(id) && !taken.includes(id));
      taken.push(...(this.#take(left, Math.min(count - taken.length, left.length)) ?? []));
    }
    return taken.sort((a, b) => a - b);
  }

  #take(free: readonly number[], count: number): readonly number[] | undefined {
    const { spreadOverNodes, wholeCores, alignByCache } = this.#options;
    if (spreadOverNodes) return spreadCpus(this.#cpus, free, count, wholeCores ? this.#threads : 1);
    return takeCpus(this.#cpus, free, count, { alignByCache });
  }

  /** Sets of nodes with so many of these CPUs. What can be used again is used again. */
  #hintsFrom(free: readonly number[], count: number, reused: readonly number[]): readonly TopologyHint[] {
    const nodeOf = new Map(this.#cpus.map(({ id, node }) => [id, node]));
    const isIn =
      (mask: number) =>
      (id: number): boolean =>
        hasNode(mask, nodeOf.get(id) ?? 0);
    const masks = [...masksOver(this.#nodes)];
    const least = Math.min(
      this.#nodes.length,
      ...masks.filter((mask) => this.#cpus.filter(({ node }) => hasNode(mask, node)).length >= count).map(nodeCount),
    );
    return masks
      .filter((mask) => free.filter(isIn(mask)).length >= count && reused.every(isIn(mask)))
      .map((affinity) => ({ affinity, preferred: nodeCount(affinity) === least }));
  }

  #shared(): readonly number[] {
    const taken = new Set([...this.#assigned.values()].flatMap((containers) => [...containers.values()].flat()));
    return this.#cpus.filter(({ id }) => !taken.has(id) && !(this.#options.keepReserved && this.#reserved.has(id))).map(({ id }) => id);
  }

  #free(): readonly number[] {
    return this.#shared().filter((cpu) => !this.#reserved.has(cpu));
  }

  /** A state that does not fit this machine is no state. */
  #restore(saved: string): void {
    for (const [uid, containers] of savedEntries(saved)) {
      const free = new Set(this.#free());
      const mine: Shares = new Map();
      for (const [name, text] of entriesOf(containers)) {
        const cpus = parseCpuSet(String(text)) ?? [];
        // Containers of one pod may have the same ones in turn.
        if (cpus.length > 0 && cpus.every((cpu) => free.has(cpu))) mine.set(name, cpus);
      }
      if (mine.size > 0) this.#assigned.set(uid, mine);
    }
  }
}

/** Whole CPUs that it asks for; 0 where it asks for parts of one. */
function wholeCpus({ resources }: V1Container): number {
  const millis = milli(resources?.requests?.cpu ?? resources?.limits?.cpu);
  return millis % 1000 === 0 ? millis / 1000 : 0;
}
