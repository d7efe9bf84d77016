/**
 * Of a container's dead instances the last one before the newest is kept, for `kubectl logs --previous` and the status's `lastState`, also when the newest
 * has ended by now; older ones, and sandboxes left empty, are removed.
 */
import type { KubeletContext } from './context.ts';
import { removeLog } from './log-rotation.ts';
import type { ContainerStatus } from './runtime/runtime.ts';

export async function removeDeadInstances({ runtime, observed, host }: KubeletContext, uid: string, container: string): Promise<void> {
  for (const { id, logPath } of superseded(observed.pod(uid).containers.filter(({ name }) => name === container))) {
    await runtime.removeContainer(id);
    await removeLog(host.disk, logPath);
    await observed.refreshContainer(id);
  }
  const { sandboxes, containers } = observed.pod(uid);
  for (const { id, ready } of sandboxes.slice(1)) {
    if (ready || containers.some(({ sandboxId }) => sandboxId === id)) continue;
    await runtime.removePodSandbox(id);
    await observed.refreshSandbox(id);
  }
}

/** Of one container's instances, newest first, those that nobody asks for any more. */
export function superseded<T extends Pick<ContainerStatus, 'state'>>(instances: readonly T[]): readonly T[] {
  const older = instances.slice(1);
  const last = older.find(({ state }) => state === 'exited');
  return older.filter((instance) => instance.state !== 'running' && instance !== last);
}
