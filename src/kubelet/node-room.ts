/** Keeps the node from filling up: eviction of pods under pressure, and images that nobody uses. A simulated machine has nothing to run out of. */
import type { Pod } from '../api/kinds.ts';
import type { Timer } from '../world/world.ts';
import type { Rejection } from './admission.ts';
import type { KubeletSettings } from './configuration/settings.ts';
import type { KubeletContext } from './context.ts';
import { withAllocatableMemory } from './eviction/derived-thresholds.ts';
import { type EvictionManager, createEvictionManager } from './eviction/eviction-manager.ts';
import type { Gauge } from './eviction/gauge.ts';
import { removeDeadContainers } from './garbage/dead-containers.ts';
import { createImageGarbage } from './garbage/image-garbage.ts';
import { messageOf } from './handler.ts';
import { containersOf } from './pod-spec.ts';
import type { PodWorker } from './pod-worker.ts';

export interface NodeRoomOptions {
  readonly context: Pick<KubeletContext, 'world' | 'runtime' | 'observed' | 'host' | 'images' | 'counters'>;
  readonly settings: KubeletSettings;
  readonly gauge: Gauge | undefined;
  readonly workers: ReadonlyMap<string, PodWorker>;
  /** A warning on the Node. */
  readonly tell: (reason: string, message: string) => void;
  readonly onConditions: () => void;
}

export interface NodeRoom {
  /** Looks after it from now on. */
  start(): void;
  /** Of pressure, as the Node shows them. */
  conditions(): ReadonlySet<string>;
  /** Why a new pod may not begin here now. */
  refusal(pod: Pod): Rejection | undefined;
  close(): void;
}

const imagesEveryMs = 300_000;
const noConditions: ReadonlySet<string> = new Set();

export function createNodeRoom({ context, settings, gauge, workers, tell, onConditions }: NodeRoomOptions): NodeRoom {
  const { world, runtime, observed } = context;
  const log = world.log.child('node-room');
  let eviction: EvictionManager | undefined;
  let timer: Timer | undefined;
  const images = createImageGarbage({
    world,
    runtime,
    settings: settings.imageGarbage,
    inUse: imagesInUse,
    onRemoved: (id) => context.images.removed(id),
    room: async () => (await gauge?.read())?.get('imagefs.available'),
    tell,
  });

  /** What containers run from, and what pods that are here will start from. */
  function imagesInUse(): ReadonlySet<string> {
    const used = new Set<string>();
    for (const uid of observed.uids()) {
      for (const { image, imageRef } of observed.pod(uid).containers) used.add(image).add(imageRef);
    }
    for (const worker of workers.values()) {
      if (!worker.counts()) continue;
      for (const { spec } of containersOf(worker.pod)) used.add(spec.image ?? '');
    }
    return used;
  }

  async function reclaimDisk(): Promise<void> {
    const pods = [...workers.values()].map(({ pod }) => pod);
    await removeDeadContainers(context, pods);
    await images.removeUnused();
  }

  return {
    start() {
      if (!gauge || eviction) return;
      eviction = createEvictionManager({
        world,
        gauge,
        thresholds: settings.enforcePodsAllocatable ? withAllocatableMemory(settings.evictionThresholds) : settings.evictionThresholds,
        transitionMs: settings.evictionTransitionMs,
        maxGraceSeconds: settings.evictionMaxGraceSeconds,
        pods: () => [...workers.values()].filter((worker) => worker.counts()),
        reclaimDisk,
        onConditions,
        tell,
        onEviction: (signal) => context.counters.evicted(signal),
      });
      timer = world.clock.every(imagesEveryMs, () => {
        images.collect().catch((error: unknown) => log.warn('collecting images failed', { error: messageOf(error) }));
      });
    },
    conditions: () => eviction?.conditions() ?? noConditions,
    refusal: (pod) => eviction?.refusal(pod),
    close() {
      timer?.cancel();
      eviction?.close();
    },
  };
}
