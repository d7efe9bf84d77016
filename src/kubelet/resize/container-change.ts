/** What a change of a container's resources takes: nothing, new limits for the running process, or a restart. */
import type { V1Container, V1ResourceRequirements } from '../../api/types.ts';
import { parseQuantity } from '../../machinery/quantity.ts';

export type ContainerChange = 'none' | 'update' | 'restart';

export function containerChange(
  { resizePolicy = [] }: V1Container,
  before: V1ResourceRequirements | undefined,
  after: V1ResourceRequirements | undefined,
): ContainerChange {
  const changed = changedResources(before, after);
  if (changed.length === 0) return 'none';
  const restarts = resizePolicy.some(({ resourceName, restartPolicy }) => restartPolicy === 'RestartContainer' && changed.includes(resourceName));
  return restarts ? 'restart' : 'update';
}

/** `cpu`, `memory`: those whose requests or limits differ as amounts, however they are written. */
export function changedResources(before: V1ResourceRequirements | undefined, after: V1ResourceRequirements | undefined): readonly string[] {
  if (before === after) return [];
  return ['cpu', 'memory'].filter(
    (name) => differ(before?.requests?.[name], after?.requests?.[name]) || differ(before?.limits?.[name], after?.limits?.[name]),
  );
}

function differ(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return false;
  return a === undefined || b === undefined || parseQuantity(a).compare(parseQuantity(b)) !== 0;
}
