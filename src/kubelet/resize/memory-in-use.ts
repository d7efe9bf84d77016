/** Memory is not taken from under a running container: the kernel would kill it for that. It is tried again until what it uses fits. */
import type { Pod } from '../../api/kinds.ts';
import { containerResources } from '../resources.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { ResizeStep } from './pod-resize.ts';

/** Throws when some container uses more than it is to have. */
export async function refuseBelowUse(
  runtime: Pick<ContainerRuntime, 'containerStats'>,
  pod: Pod,
  steps: readonly ResizeStep[],
  nodeMemoryBytes: number,
): Promise<void> {
  const limited = steps.flatMap(({ container, instance }) => {
    const limit = containerResources(pod, container, nodeMemoryBytes).memoryLimitBytes;
    return limit === undefined ? [] : [{ name: container.name, id: instance.id, limit }];
  });
  if (limited.length === 0) return;
  const stats = await runtime.containerStats();
  for (const { name, id, limit } of limited) {
    const used = stats.find(({ containerId }) => containerId === id)?.memoryWorkingSetBytes ?? 0;
    if (used > limit) throw new Error(`attempting to set container "${name}" memory limit (${limit}) below current usage (${used})`);
  }
}
