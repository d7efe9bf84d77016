/** The node's CPUs and memory among its pods: all of them held to what is allocatable, shares by quality of service, and whole CPUs where that is asked for. */
import type { Timer } from '../world/world.ts';
import { createNodePlacement } from './allocation/node-placement.ts';
import type { Placement } from './allocation/placement.ts';
import { type KubeletSettings, type ReservedCgroup, reservedOf } from './configuration/settings.ts';
import type { KubeletContext } from './context.ts';
import { messageOf } from './handler.ts';
import type { HostFacts } from './host.ts';
import type { PodWorker } from './pod-worker.ts';
import { bytes, cpuShares, milli } from './resources.ts';

export interface NodeCpusOptions {
  readonly context: Pick<KubeletContext, 'world' | 'runtime' | 'observed' | 'host' | 'rootDir'>;
  readonly settings: KubeletSettings;
  readonly facts: HostFacts;
  readonly workers: ReadonlyMap<string, PodWorker>;
}

export interface NodeCpus {
  /** Before the first pod begins. */
  start(): Promise<void>;
  /** Undefined where containers run anywhere. */
  placement(): Placement | undefined;
  /** Pods came, went or were resized. */
  podsChanged(): void;
  close(): void;
}

const shareOutAfterMs = 100;

/** Throws when the machine is not as the settings need it. */
export function createNodeCpus({ context, settings, facts, workers }: NodeCpusOptions): NodeCpus {
  const { world, host } = context;
  const log = world.log.child('node-cpus');
  const placement = createNodePlacement({ context, settings, facts });
  for (const { reservation, path } of settings.reservedCgroups) {
    if (!host.cgroups.has(path)) throw new Error(`${reservation}Cgroup: there is no cgroup ${path} to enforce what is reserved`);
  }
  let sharing: Timer | undefined;
  let closed = false;

  /** Pods together get no more than the machine has beyond its reservations. */
  async function limitPods(): Promise<void> {
    if (!settings.enforcePodsAllocatable) return;
    const { cpuMillis, memoryBytes } = reservedOf({ ...settings, evictionThresholds: [] }, facts);
    await host.cgroups.limitAll({ cpuShares: cpuShares(facts.cpus * 1000 - cpuMillis), memoryLimitBytes: facts.memoryBytes - memoryBytes });
  }

  /** What runs beside the pods gets no more than what is reserved for it. */
  async function limitOthers({ reservation, path, compressible }: ReservedCgroup): Promise<void> {
    const { cpu, memory, pid } = settings[reservation];
    await host.cgroups.limitExisting(path, {
      ...(cpu !== undefined && { cpuShares: cpuShares(milli(cpu)) }),
      ...(!compressible && memory !== undefined && { memoryLimitBytes: bytes(memory) }),
      ...(!compressible && pid !== undefined && { pids: bytes(pid) }),
    });
  }

  return {
    async start() {
      await limitPods();
      for (const cgroup of settings.reservedCgroups) await limitOthers(cgroup);
      await placement.start();
    },
    placement: placement.placement,
    podsChanged() {
      // Those of one moment are counted together; a simulated machine has nothing to share.
      if (!host.disk.keeps || sharing || closed) return;
      sharing = world.clock.after(shareOutAfterMs, () => {
        sharing = undefined;
        const counted = [...workers.values()].filter((worker) => worker.counts()).map(({ granted }) => granted);
        host.cgroups.shareOut(counted).catch((error: unknown) => log.warn('sharing out the CPUs failed', { error: messageOf(error) }));
      });
    },
    close() {
      closed = true;
      sharing?.cancel();
    },
  };
}
