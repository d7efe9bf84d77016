/** The node's CPUs and memory among its pods: all of them held to what is allocatable, shares by quality of service, and whole CPUs where that is asked for. */
import { join } from 'node:path';
import type { Timer } from '../world/world.ts';
import { type KubeletSettings, reservedOf } from './configuration/settings.ts';
import type { KubeletContext } from './context.ts';
import { CpuManager } from './cpu-manager.ts';
import { parseCpuSet } from './cpu-set.ts';
import { messageOf } from './handler.ts';
import type { HostFacts } from './host.ts';
import type { PodWorker } from './pod-worker.ts';
import { cpuShares } from './resources.ts';

export interface NodeCpusOptions {
  readonly context: Pick<KubeletContext, 'world' | 'runtime' | 'observed' | 'host' | 'rootDir'>;
  readonly settings: KubeletSettings;
  readonly facts: HostFacts;
  readonly workers: ReadonlyMap<string, PodWorker>;
}

export interface NodeCpus {
  /** Before the first pod begins. */
  start(): Promise<void>;
  /** Undefined where no container has CPUs of its own. */
  manager(): CpuManager | undefined;
  /** Pods came, went or were resized. */
  podsChanged(): void;
  close(): void;
}

const shareOutAfterMs = 100;
const mostStateBytes = 2 ** 20;

export function createNodeCpus({ context, settings, facts, workers }: NodeCpusOptions): NodeCpus {
  const { world, runtime, observed, host, rootDir } = context;
  const log = world.log.child('node-cpus');
  const stateFile = join(rootDir, 'cpu_manager_state');
  let manager: CpuManager | undefined;
  let sharing: Timer | undefined;
  let closed = false;

  /** Pods together get no more than the machine has beyond its reservations. */
  async function limitPods(): Promise<void> {
    if (!settings.enforcePodsAllocatable) return;
    const { cpuMillis, memoryBytes } = reservedOf({ ...settings, evictionThresholds: [] }, facts);
    await host.cgroups.limitAll({ cpuShares: cpuShares(facts.cpus * 1000 - cpuMillis), memoryLimitBytes: facts.memoryBytes - memoryBytes });
  }

  async function restored(): Promise<CpuManager> {
    const { cpuMillis } = reservedOf(settings, facts);
    const count = Math.max(1, Math.ceil(cpuMillis / 1000));
    const first = Array.from({ length: count }, (_, cpu) => cpu);
    const reserved = settings.reservedSystemCpus === '' ? first : (parseCpuSet(settings.reservedSystemCpus) ?? first);
    const saved = await host.disk.readTail(stateFile, mostStateBytes);
    return new CpuManager({ cpus: facts.cpus, reserved, onChange: moveShared, ...(saved !== undefined && { saved }) });
  }

  /** Those without CPUs of their own leave the ones that were given away. */
  function moveShared(): void {
    const move = async (): Promise<void> => {
      if (!manager) return;
      await host.disk.writeFile(stateFile, manager.state(), 0o600);
      for (const uid of observed.uids()) {
        for (const { id, name, state } of observed.pod(uid).containers) {
          if (state !== 'running' || manager.isExclusive(uid, name)) continue;
          await runtime.updateContainerResources(id, { cpus: manager.cpusetOf(uid, name) });
        }
      }
    };
    move().catch((error: unknown) => log.warn('moving containers to the shared CPUs failed', { error: messageOf(error) }));
  }

  return {
    async start() {
      await limitPods();
      if (settings.cpuManagerPolicy === 'static') manager = await restored();
    },
    manager: () => manager,
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
