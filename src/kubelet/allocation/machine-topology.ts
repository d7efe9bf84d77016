/**
 * How the machine's CPUs and memory hang together: which CPUs share a core, a cache, a socket, and which memory is near to which. Read from the kernel's
 * sysfs. https://docs.kernel.org/admin-guide/cputopology.html
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseCpuSet } from '../cpu-set.ts';

export interface MachineCpu {
  readonly id: number;
  /** Of the whole machine: unlike the kernel's, numbers of different sockets differ. */
  readonly core: number;
  readonly socket: number;
  readonly node: number;
  /** CPUs of one number share their last level of cache. */
  readonly cache: number;
}

/** Memory, and the CPUs that are near to it. */
export interface NumaNode {
  readonly id: number;
  readonly memoryBytes: number;
  /** To each node, itself included, by its id: 10 is near. */
  readonly distances: ReadonlyMap<number, number>;
}

export interface MachineTopology {
  readonly cpus: readonly MachineCpu[];
  /** By ascending id. */
  readonly nodes: readonly NumaNode[];
}

/** A machine on which all is equally near, and every CPU is a core. */
export function flatTopology(cpus: number, memoryBytes: number): MachineTopology {
  return {
    cpus: Array.from({ length: cpus }, (_, id) => ({ id, core: id, socket: 0, node: 0, cache: 0 })),
    nodes: [{ id: 0, memoryBytes, distances: new Map([[0, 10]]) }],
  };
}

export interface TopologySource {
  /** `/sys/devices/system`. */
  readonly directory: string;
  /** CPUs that this process may use at all; any when empty. */
  readonly allowed?: readonly number[];
  /** Of the whole machine, for a kernel that tells of no nodes. */
  readonly memoryBytes: number;
}

export function readTopology({ directory, allowed = [], memoryBytes }: TopologySource): MachineTopology {
  const online = parseCpuSet(readOr(join(directory, 'cpu/online'), '0')) ?? [0];
  const usable = allowed.length === 0 ? online : online.filter((cpu) => allowed.includes(cpu));
  const nodes = readNodes(join(directory, 'node'));
  const nodeOf = new Map(nodes.flatMap(({ id, cpus }) => cpus.map((cpu) => [cpu, id] as const)));
  const first = nodes[0]?.id ?? 0;
  const cpus = usable.map((id): MachineCpu => {
    const path = join(directory, `cpu/cpu${id}`);
    return {
      id,
      // The first of those that share it names it: the kernel's own numbers start anew on each socket.
      core: firstIn(join(path, 'topology/thread_siblings_list'), id),
      socket: Math.max(0, Number(readOr(join(path, 'topology/physical_package_id'), '0'))),
      node: nodeOf.get(id) ?? first,
      cache: firstIn(join(path, 'cache/index3/shared_cpu_list'), firstIn(join(path, 'topology/package_cpus_list'), 0)),
    };
  });
  return { cpus, nodes: nodes.length > 0 ? nodes : flatTopology(0, memoryBytes).nodes };
}

function readNodes(directory: string): (NumaNode & { readonly cpus: readonly number[] })[] {
  const ids = entriesOf(directory)
    .flatMap((name) => /^node(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  return ids.map((id) => {
    const path = join(directory, `node${id}`);
    const kilobytes = /MemTotal:\s+(\d+) kB/.exec(readOr(join(path, 'meminfo'), ''))?.[1] ?? '0';
    const distances = readOr(join(path, 'distance'), '').split(/\s+/).map(Number);
    return {
      id,
      memoryBytes: Number(kilobytes) * 1024,
      distances: new Map(ids.map((other, index) => [other, distances[index] ?? (other === id ? 10 : 20)])),
      cpus: parseCpuSet(readOr(join(path, 'cpulist'), '')) ?? [],
    };
  });
}

function firstIn(file: string, otherwise: number): number {
  return parseCpuSet(readOr(file, ''))?.[0] ?? otherwise;
}

function entriesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return otherwise;
  }
}
