/**
 * Chooses CPUs that lie close together: whole nodes and sockets first, then whole cores, then what is left of cores that are already shared. Pure functions.
 * Upstream: the CPU manager's CPU assignment.
 */
import type { MachineCpu } from './machine-topology.ts';
import { isNarrower, masksOver, nodeCount } from './numa-mask.ts';

export interface TakeOptions {
  /** CPUs that share a cache are taken together where they can. */
  readonly alignByCache?: boolean;
}

type Level = 'node' | 'socket' | 'cache' | 'core';

/** `count` of the free ones, in ascending order; undefined when they are too few. `all` are the machine's. */
export function takeCpus(
  all: readonly MachineCpu[],
  free: readonly number[],
  count: number,
  options: TakeOptions = {},
): readonly number[] | undefined {
  if (free.length < count) return undefined;
  const taken = new Set<number>();
  const isFree = new Set(free);
  const left = (): readonly MachineCpu[] => all.filter(({ id }) => isFree.has(id) && !taken.has(id));
  const missing = (): number => count - taken.size;

  /** Of each group that is free as a whole, while so many are needed. */
  function takeWhole(level: Level): void {
    const size = groupsOf(all, level);
    for (const [group, cpus] of inOrder(groupsOf(left(), level))) {
      if (cpus.length === size.get(group)?.length && cpus.length <= missing()) for (const { id } of cpus) taken.add(id);
    }
  }

  // The larger of the two first.
  const levels: readonly Level[] = groupsOf(all, 'node').size <= groupsOf(all, 'socket').size ? ['node', 'socket'] : ['socket', 'node'];
  for (const level of levels) takeWhole(level);
  if (options.alignByCache === true) {
    takeWhole('cache');
    const needed = missing();
    const fitting = needed === 0 ? undefined : inOrder(groupsOf(left(), 'cache')).find(([, cpus]) => cpus.length >= needed)?.[1];
    const inside =
      fitting &&
      takeCpus(
        all,
        fitting.map(({ id }) => id),
        needed,
      );
    for (const id of inside ?? []) taken.add(id);
  }
  takeCores();
  takeThreads();
  return [...taken].sort((a, b) => a - b);

  /** Cores of the fullest node first: the emptier ones stay whole for those who need more. */
  function takeCores(): void {
    const size = groupsOf(all, 'core');
    for (const [, ofSocket] of inOrder(groupsOf(left(), 'socket'))) {
      for (const [, ofNode] of inOrder(groupsOf(ofSocket, 'node'))) {
        for (const [core, cpus] of groupsOf(ofNode, 'core')) {
          if (cpus.length === size.get(core)?.length && cpus.length <= missing()) for (const { id } of cpus) taken.add(id);
        }
      }
    }
  }

  function takeThreads(): void {
    const sockets = groupsOf(left(), 'socket');
    const cores = groupsOf(left(), 'core');
    const near = groupsOf(
      all.filter(({ id }) => taken.has(id)),
      'socket',
    );
    const sizeOf = (groups: ReadonlyMap<number, readonly MachineCpu[]>, group: number): number => groups.get(group)?.length ?? 0;
    const order = left().toSorted(
      (a, b) =>
        sizeOf(near, b.socket) - sizeOf(near, a.socket) ||
        sizeOf(sockets, a.socket) - sizeOf(sockets, b.socket) ||
        a.socket - b.socket ||
        sizeOf(cores, a.core) - sizeOf(cores, b.core) ||
        a.id - b.id,
    );
    for (const { id } of order.slice(0, missing())) taken.add(id);
  }
}

/** The same share of as few nodes as will do, in steps of `step`; of several ways, the one that leaves the nodes most alike. */
export function spreadCpus(all: readonly MachineCpu[], free: readonly number[], count: number, step: number): readonly number[] | undefined {
  if (free.length < count) return undefined;
  const isFree = new Set(free);
  const byNode = groupsOf(
    all.filter(({ id }) => isFree.has(id)),
    'node',
  );
  const nodes = [...byNode.keys()].sort((a, b) => a - b);
  const masks = [...masksOver(nodes.map((_, index) => index))].sort((a, b) => (isNarrower(a, b) ? -1 : 1));
  let best: { taken: readonly number[]; spread: number; mask: number } | undefined;
  for (const mask of masks) {
    const chosen = nodes.filter((_, index) => (mask & (1 << index)) !== 0);
    if (best && nodeCount(best.mask) < chosen.length) break;
    const shares = sharesOf(chosen.length, count, step);
    const parts =
      shares &&
      chosen.map((node, index) =>
        takeCpus(
          all,
          (byNode.get(node) ?? []).map(({ id }) => id),
          shares[index] ?? 0,
        ),
      );
    if (!parts?.every((part) => part !== undefined)) continue;
    const taken = parts.flat();
    const spread = deviation(
      nodes.map((node) => (byNode.get(node)?.length ?? 0) - taken.filter((id) => byNode.get(node)?.some((cpu) => cpu.id === id)).length),
    );
    if (!best || spread < best.spread) best = { taken, spread, mask };
  }
  return best ? [...best.taken].sort((a, b) => a - b) : takeCpus(all, free, count);
}

/** Undefined when it cannot be shared in whole steps. */
function sharesOf(nodes: number, count: number, step: number): readonly number[] | undefined {
  if (count % step !== 0) return undefined;
  const steps = count / step;
  if (steps < nodes) return undefined;
  return Array.from({ length: nodes }, (_, index) => (Math.floor(steps / nodes) + (index < steps % nodes ? 1 : 0)) * step);
}

function groupsOf(cpus: readonly MachineCpu[], level: Level): Map<number, MachineCpu[]> {
  const groups = new Map<number, MachineCpu[]>();
  for (const cpu of cpus) {
    const group = groups.get(cpu[level]);
    if (group) group.push(cpu);
    else groups.set(cpu[level], [cpu]);
  }
  return groups;
}

/** Those with the fewest first. */
function inOrder(groups: ReadonlyMap<number, MachineCpu[]>): (readonly [number, MachineCpu[]])[] {
  return [...groups].sort(([a, some], [b, others]) => some.length - others.length || a - b);
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
