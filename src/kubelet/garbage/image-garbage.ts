/**
 * Removes images that no container uses when their disk fills up: above the high mark, least recently used first, until the low mark is reached. Images that
 * are pinned, or that no registry gave and so none could give again, stay. https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */
import type { World } from '../../world/world.ts';
import { messageOf } from '../handler.ts';
import type { ContainerRuntime, Image } from '../runtime/runtime.ts';

export interface ImageGarbageSettings {
  readonly highPercent: number;
  readonly lowPercent: number;
  /** Younger ones stay. */
  readonly minimumAgeMs: number;
  /** Unused for longer than this they go, however much room there is; 0 for never. */
  readonly maximumAgeMs: number;
}

export const defaultImageGarbage: ImageGarbageSettings = { highPercent: 85, lowPercent: 80, minimumAgeMs: 120_000, maximumAgeMs: 0 };

export interface ImageGarbageOptions {
  readonly world: World;
  readonly runtime: Pick<ContainerRuntime, 'listImages' | 'removeImage'>;
  readonly settings: ImageGarbageSettings;
  /** Ids, names and digests of what containers run from, and pods wait for. */
  readonly inUse: () => ReadonlySet<string>;
  /** The file system that holds images. */
  readonly room: () => Promise<{ readonly available: number; readonly capacity: number } | undefined>;
  readonly tell: (reason: string, message: string) => void;
  /** The image of this id is not there any more. */
  readonly onRemoved?: (id: string) => Promise<void>;
}

export interface ImageGarbage {
  /** Looks at the marks, and at ages. */
  collect(): Promise<void>;
  /** All that nobody uses, whatever its age. Answers the bytes freed. */
  removeUnused(): Promise<number>;
}

interface Known {
  image: Image;
  readonly detectedMs: number;
  lastUsedMs: number;
}

export function createImageGarbage({ world, runtime, settings, inUse, room, tell, onRemoved }: ImageGarbageOptions): ImageGarbage {
  const log = world.log.child('image-garbage');
  const known = new Map<string, Known>();

  /** Those that could go, the least recently used first. */
  async function unused(): Promise<readonly Known[]> {
    const nowMs = world.clock.now();
    const used = inUse();
    const images = await runtime.listImages();
    const present = new Set(images.map(({ id }) => id));
    for (const id of known.keys()) if (!present.has(id)) known.delete(id);
    const free: Known[] = [];
    for (const image of images) {
      let entry = known.get(image.id);
      if (!entry) known.set(image.id, (entry = { image, detectedMs: nowMs, lastUsedMs: 0 }));
      entry.image = image;
      if ([image.id, ...image.repoTags, ...image.repoDigests].some((name) => used.has(name))) entry.lastUsedMs = nowMs;
      else if (image.pinned !== true && image.repoDigests.length > 0) free.push(entry);
    }
    return free.sort((a, b) => a.lastUsedMs - b.lastUsedMs || a.detectedMs - b.detectedMs);
  }

  async function remove(candidates: readonly Known[], wantedBytes: number): Promise<number> {
    let freed = 0;
    for (const { image } of candidates) {
      if (freed >= wantedBytes) break;
      try {
        await runtime.removeImage(image.id);
        known.delete(image.id);
        await onRemoved?.(image.id);
        freed += image.sizeBytes;
        log.info('removed an unused image', { image: image.repoTags[0] ?? image.id, bytes: image.sizeBytes });
      } catch (error) {
        log.warn('removing an image failed', { image: image.id, error: messageOf(error) });
      }
    }
    return freed;
  }

  return {
    async collect() {
      const nowMs = world.clock.now();
      const candidates = await unused();
      const { maximumAgeMs, minimumAgeMs, highPercent, lowPercent } = settings;
      if (maximumAgeMs > 0) {
        await remove(
          candidates.filter(({ lastUsedMs, detectedMs }) => nowMs - Math.max(lastUsedMs, detectedMs) > maximumAgeMs),
          Infinity,
        );
      }
      const disk = await room();
      if (!disk || disk.capacity === 0) return;
      const usedPercent = 100 - Math.floor((disk.available * 100) / disk.capacity);
      if (usedPercent < highPercent) return;
      const wanted = Math.floor((disk.capacity * (100 - lowPercent)) / 100) - disk.available;
      const old = candidates.filter(({ image, detectedMs }) => known.has(image.id) && nowMs - detectedMs >= minimumAgeMs);
      const freed = await remove(old, wanted);
      if (freed >= wanted) return;
      tell(
        'FreeDiskSpaceFailed',
        `Failed to garbage collect required amount of images. Attempted to free ${wanted} bytes, but only found ${freed} bytes eligible to free.`,
      );
    },
    async removeUnused() {
      return remove(await unused(), Infinity);
    },
  };
}
