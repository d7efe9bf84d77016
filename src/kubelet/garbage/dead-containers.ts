/** Dead containers that only their logs were kept for, when the disk is short: all of pods that have ended, and all but the newest of those that go on. */
import type { Pod } from '../../api/kinds.ts';
import type { KubeletContext } from '../context.ts';
import { removeLog } from '../log-rotation.ts';
import { isTerminalPhase } from '../pod-spec.ts';

export async function removeDeadContainers({ runtime, observed, host }: Pick<KubeletContext, 'runtime' | 'observed' | 'host'>, pods: readonly Pod[]) {
  for (const { metadata, status } of pods) {
    const seen = new Set<string>();
    for (const { id, name, state, logPath } of observed.pod(metadata.uid).containers) {
      const isNewest = !seen.has(name);
      seen.add(name);
      if (state !== 'exited' || (isNewest && !isTerminalPhase(status.phase))) continue;
      await runtime.removeContainer(id);
      await removeLog(host.disk, logPath);
      await observed.refreshContainer(id);
    }
  }
}
