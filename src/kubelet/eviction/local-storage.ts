/**
 * Pods that write more to the node's disk than they may: an emptyDir beyond its limit, a container or a whole pod beyond its ephemeral-storage limit. They
 * are evicted whether or not the node is short of anything.
 */
import type { Pod } from '../../api/kinds.ts';
import { bytes } from '../resources.ts';
import { containerOverLimit, emptyDirOverLimit, podOverLimit } from './messages.ts';
import { allDiskParts, diskOf, type PodUsage } from './rank.ts';

/** Sizes of the pod's volumes on the disk, by name. */
export interface LocalUsage extends PodUsage {
  readonly volumes: ReadonlyMap<string, number>;
}

/** Whether anything of the pod has a limit at all: only such pods need to be measured. */
export function hasLocalLimit({ spec }: Pod): boolean {
  return (
    (spec.volumes ?? []).some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined && emptyDir.medium !== 'Memory') ||
    [...(spec.initContainers ?? []), ...spec.containers].some(({ resources }) => resources?.limits?.['ephemeral-storage'] !== undefined)
  );
}

export interface ExceededLimit {
  /** As upstream's metrics name it. */
  readonly signal: 'emptydirfs.limit' | 'ephemeralpodfs.limit' | 'ephemeralcontainerfs.limit';
  readonly message: string;
}

/** Undefined while it keeps within its limits. */
export function overLocalLimit({ spec }: Pod, usage: LocalUsage): ExceededLimit | undefined {
  for (const { name, emptyDir } of spec.volumes ?? []) {
    const limit = emptyDir?.sizeLimit;
    if (limit === undefined || emptyDir?.medium === 'Memory' || bytes(limit) === 0) continue;
    if ((usage.volumes.get(name) ?? 0) > bytes(limit)) return { signal: 'emptydirfs.limit', message: emptyDirOverLimit(name, limit) };
  }
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const limitOf = (container: (typeof containers)[number]): string | undefined => container.resources?.limits?.['ephemeral-storage'];
  const total = spec.containers.reduce((sum, container) => sum + bytes(limitOf(container)), 0);
  if (spec.containers.some((container) => limitOf(container) !== undefined) && diskOf(usage, allDiskParts).bytes > total) {
    return { signal: 'ephemeralpodfs.limit', message: podOverLimit(total) };
  }
  for (const container of containers) {
    const limit = limitOf(container);
    const used = usage.containers.find(({ name }) => name === container.name)?.diskBytes ?? 0;
    if (limit !== undefined && used > bytes(limit)) {
      return { signal: 'ephemeralcontainerfs.limit', message: containerOverLimit(container.name, limit) };
    }
  }
  return undefined;
}
