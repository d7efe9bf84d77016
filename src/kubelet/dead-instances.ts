/** Of a container's dead instances the last one is kept, for `kubectl logs --previous`; older ones, and sandboxes left empty, are removed. */
import type { KubeletContext } from './context.ts';

export async function removeDeadInstances({ runtime, observed, host }: KubeletContext, uid: string, container: string): Promise<void> {
  const dead = observed.pod(uid).containers.filter(({ name, state }) => name === container && state !== 'running');
  for (const { id, logPath } of dead.slice(1)) {
    await runtime.removeContainer(id);
    await host.disk.removeTree(logPath);
    await observed.refreshContainer(id);
  }
  const { sandboxes, containers } = observed.pod(uid);
  for (const { id, ready } of sandboxes.slice(1)) {
    if (ready || containers.some(({ sandboxId }) => sandboxId === id)) continue;
    await runtime.removePodSandbox(id);
    await observed.refreshSandbox(id);
  }
}
