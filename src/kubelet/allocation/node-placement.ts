/** The placement of one node's containers: made from its settings and what was kept of it, kept again whenever it changes, and followed by those who share. */
import { join } from 'node:path';
import type { KubeletContext } from '../context.ts';
import { type KubeletSettings, reservedOf } from '../configuration/settings.ts';
import { parseCpuSet } from '../cpu-set.ts';
import { messageOf } from '../handler.ts';
import type { HostFacts } from '../host.ts';
import { CpuManager } from './cpu-manager.ts';
import type { MachineTopology } from './machine-topology.ts';
import { MemoryManager } from './memory-manager.ts';
import { Placement } from './placement.ts';

export interface NodePlacementOptions {
  readonly context: Pick<KubeletContext, 'world' | 'runtime' | 'observed' | 'host' | 'rootDir'>;
  readonly settings: KubeletSettings;
  readonly facts: HostFacts;
}

export interface NodePlacement {
  /** Takes up what was kept; before the first pod begins. */
  start(): Promise<void>;
  /** Undefined where containers run anywhere. */
  placement(): Placement | undefined;
}

const mostStateBytes = 2 ** 20;

/** Throws when the machine cannot be shared out as the settings ask. */
export function createNodePlacement({ context, settings, facts }: NodePlacementOptions): NodePlacement {
  const { world, runtime, observed, host, rootDir } = context;
  const log = world.log.child('placement');
  const { cpuPolicy, cpuOptions, reservedCpus, memoryPolicy, reservedMemory, topologyPolicy, topologyScope, preferClosest, mostNodes } =
    settings.placement;
  const files = { cpus: join(rootDir, 'cpu_manager_state'), memory: join(rootDir, 'memory_manager_state') };
  const reserved = reservedOf(settings, facts);
  const isAsked = cpuPolicy === 'static' || memoryPolicy === 'Static' || topologyPolicy !== 'none';
  const topology = isAsked ? host.topology() : undefined;
  let placement: Placement | undefined;
  if (topology) check(topology);

  function check({ nodes }: MachineTopology): void {
    if (topologyPolicy !== 'none' && nodes.length > mostNodes) {
      throw new Error(`unsupported on machines with more than ${mostNodes} NUMA Nodes`);
    }
    if (memoryPolicy === 'None') return;
    const unknown = [...reservedMemory.keys()].find((node) => !nodes.some(({ id }) => id === node));
    if (unknown !== undefined) throw new Error(`reservedMemory: the machine has no NUMA node ${unknown}`);
    const sum = [...reservedMemory.values()].reduce((all, bytes) => all + bytes, 0);
    if (sum !== reserved.memoryBytes) {
      throw new Error(
        `the total amount "${sum}" of type "memory" is not equal to the value "${reserved.memoryBytes}" determined by Node Allocatable feature`,
      );
    }
  }

  async function restore(machine: MachineTopology): Promise<Placement> {
    const kept = async (file: string): Promise<{ saved?: string }> => {
      const saved = await host.disk.readTail(file, mostStateBytes);
      return saved === undefined ? {} : { saved };
    };
    // Someone has to be left to those who share.
    const count = Math.max(1, Math.ceil(reserved.cpuMillis / 1000));
    const cpus =
      cpuPolicy === 'static'
        ? new CpuManager({
            topology: machine,
            reserved: reservedCpus === '' ? count : (parseCpuSet(reservedCpus) ?? count),
            options: cpuOptions,
            ...(await kept(files.cpus)),
          })
        : undefined;
    const memory =
      memoryPolicy === 'Static' ? new MemoryManager({ topology: machine, reserved: reservedMemory, ...(await kept(files.memory)) }) : undefined;
    return new Placement({
      cpus,
      memory,
      topology: { policy: topologyPolicy, nodes: machine.nodes, preferClosest, scope: topologyScope },
      onChange: () => {
        keep(cpus, memory).catch((error: unknown) => log.warn('moving containers to the shared CPUs failed', { error: messageOf(error) }));
      },
    });
  }

  async function keep(cpus: CpuManager | undefined, memory: MemoryManager | undefined): Promise<void> {
    if (memory) await host.disk.writeFile(files.memory, memory.state(), 0o600);
    if (!cpus) return;
    await host.disk.writeFile(files.cpus, cpus.state(), 0o600);
    // Those without CPUs of their own leave the ones that were given away.
    for (const uid of observed.uids()) {
      for (const { id, name, state } of observed.pod(uid).containers) {
        const shared = placement?.sharedCpusOf(uid, name);
        if (state === 'running' && shared !== undefined) await runtime.updateContainerResources(id, { cpus: shared });
      }
    }
  }

  return {
    async start() {
      if (topology) placement = await restore(topology);
    },
    placement: () => placement,
  };
}
