/**
 * CPUs of their own for containers of guaranteed pods that ask for whole ones; all others share the rest. Follows upstream's static CPU manager policy, and
 * keeps its state in the same file. https://kubernetes.io/docs/tasks/administer-cluster/cpu-management-policies/
 */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import type { Rejection } from './admission.ts';
import { formatCpuSet, parseCpuSet } from './cpu-set.ts';
import { isSidecar } from './pod-spec.ts';
import { qosClass } from './qos.ts';
import { milli } from './resources.ts';

/** Exclusive CPUs by pod and container. */
export type CpuAssignments = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>;

export interface CpuManagerOptions {
  readonly cpus: number;
  /** Never given away. */
  readonly reserved: readonly number[];
  /** What `state()` gave before, if anything. */
  readonly saved?: string;
  /** Assignments changed: the state is to be kept, and what shares is to be moved. */
  readonly onChange: () => void;
}

export class CpuManager {
  readonly #all: readonly number[];
  readonly #reserved: ReadonlySet<number>;
  readonly #onChange: () => void;
  readonly #assigned = new Map<string, Map<string, readonly number[]>>();

  constructor({ cpus, reserved, saved = '', onChange }: CpuManagerOptions) {
    this.#all = Array.from({ length: cpus }, (_, cpu) => cpu);
    this.#reserved = new Set(reserved);
    this.#onChange = onChange;
    this.#restore(saved);
  }

  /** Gives the pod its CPUs; a pod that has them keeps them. */
  admit(pod: Pod): Rejection | undefined {
    const { uid } = pod.metadata;
    if (this.#assigned.has(uid)) return undefined;
    const wanting = exclusiveContainers(pod);
    if (wanting.length === 0) return undefined;
    const free = this.#free();
    const requested = wanting.reduce((sum, { count }) => sum + count, 0);
    if (requested > free.length) {
      const message = `not enough cpus available to satisfy request: requested=${requested}, available=${free.length}`;
      return { reason: 'UnexpectedAdmissionError', message: `Pod was rejected: Allocate failed due to ${message}, which is unexpected` };
    }
    const mine = new Map<string, readonly number[]>();
    let next = 0;
    for (const { name, count } of wanting) mine.set(name, free.slice(next, (next += count)));
    this.#assigned.set(uid, mine);
    this.#onChange();
    return undefined;
  }

  /** `2-3`. */
  cpusetOf(uid: string, container: string): string {
    return formatCpuSet(this.#assigned.get(uid)?.get(container) ?? this.#shared());
  }

  isExclusive(uid: string, container: string): boolean {
    return this.#assigned.get(uid)?.has(container) === true;
  }

  release(uid: string): void {
    if (this.#assigned.delete(uid)) this.#onChange();
  }

  /** Lets go of what pods had that are not here any more. */
  keepOnly(known: { has(uid: string): boolean }): void {
    for (const uid of this.#assigned.keys()) if (!known.has(uid)) this.release(uid);
  }

  /** As upstream's `cpu_manager_state`. */
  state(): string {
    const entries = Object.fromEntries(
      [...this.#assigned].map(([uid, containers]) => [uid, Object.fromEntries([...containers].map(([name, cpus]) => [name, formatCpuSet(cpus)]))]),
    );
    return JSON.stringify({ policyName: 'static', defaultCpuSet: formatCpuSet(this.#shared()), entries });
  }

  #taken(): ReadonlySet<number> {
    return new Set([...this.#assigned.values()].flatMap((containers) => [...containers.values()].flat()));
  }

  #shared(): readonly number[] {
    const taken = this.#taken();
    return this.#all.filter((cpu) => !taken.has(cpu));
  }

  #free(): readonly number[] {
    return this.#shared().filter((cpu) => !this.#reserved.has(cpu));
  }

  /** A state that does not fit this machine is no state. */
  #restore(saved: string): void {
    let entries: unknown;
    try {
      entries = saved === '' ? {} : JSON.parse(saved).entries;
    } catch {
      return;
    }
    if (typeof entries !== 'object' || entries === null) return;
    for (const [uid, containers] of Object.entries(entries)) {
      const mine = new Map<string, readonly number[]>();
      for (const [name, text] of Object.entries(typeof containers === 'object' && containers !== null ? containers : {})) {
        const cpus = parseCpuSet(String(text)) ?? [];
        const free = new Set(this.#free());
        if (cpus.length > 0 && cpus.every((cpu) => free.has(cpu))) mine.set(name, cpus);
      }
      if (mine.size > 0) this.#assigned.set(uid, mine);
    }
  }
}

interface Wanting {
  readonly name: string;
  readonly count: number;
}

function exclusiveContainers(pod: Pod): readonly Wanting[] {
  if (qosClass(pod) !== 'Guaranteed') return [];
  const containers: readonly V1Container[] = [...(pod.spec.initContainers ?? []).filter(isSidecar), ...pod.spec.containers];
  return containers.flatMap(({ name, resources }): Wanting[] => {
    const millis = milli(resources?.requests?.cpu ?? resources?.limits?.cpu);
    return millis > 0 && millis % 1000 === 0 ? [{ name, count: millis / 1000 }] : [];
  });
}
