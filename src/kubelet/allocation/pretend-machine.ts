/** Machines for the tests of this folder: nodes that are sockets, too, with cores of two threads, numbered as kernels number them. */
import type { Pod } from '../../api/kinds.ts';
import type { V1Container } from '../../api/types.ts';
import { type PodContainer, containersOf } from '../pod-spec.ts';
import type { MachineTopology } from './machine-topology.ts';

export const gibibyte = 2 ** 30;

/** Of two nodes and four cores each: CPUs 0-3 and 8-11 on node 0, 4-7 and 12-15 on node 1; 0 and 8 are one core. */
export function pretendMachine(nodes = 2, coresPerNode = 4, threads = 2): MachineTopology {
  const cores = nodes * coresPerNode;
  const ids = Array.from({ length: nodes }, (_, node) => node);
  return {
    cpus: Array.from({ length: cores * threads }, (_, id) => {
      const core = id % cores;
      const node = Math.floor(core / coresPerNode);
      // Every two cores share a cache.
      return { id, core, socket: node, node, cache: core - (core % 2) };
    }),
    nodes: ids.map((id) => ({ id, memoryBytes: 8 * gibibyte, distances: new Map(ids.map((other) => [other, 10 + 10 * Math.abs(other - id)])) })),
  };
}

/** Guaranteed unless a container says otherwise: `[cpu, memory]` by container. */
export function pretendPod(uid: string, containers: Record<string, readonly [cpu: string, memory?: string]>, more: Partial<Pod['spec']> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: uid, namespace: 'default', uid, creationTimestamp: '', resourceVersion: '' },
    spec: { ...more, containers: Object.entries(containers).map(([name, needs]) => pretendContainer(name, ...needs)) },
    status: {},
  };
}

export function pretendContainer(name: string, cpu: string, memory?: string): V1Container {
  return { name, resources: { limits: { cpu, ...(memory !== undefined && { memory }) } } };
}

export function containerNamed(pod: Pod, name: string): PodContainer {
  const found = containersOf(pod).find(({ spec }) => spec.name === name);
  if (!found) throw new Error(`no container ${name}`);
  return found;
}
