/**
 * Keeps containers' logs from filling the disk: past 10 MiB a log is renamed away and the runtime begins a new one; of a container's log files five are
 * kept. The limits are upstream's `containerLogMaxSize` and `containerLogMaxFiles`.
 */
import { basename, dirname, join } from 'node:path';
import type { KubeletContext } from './context.ts';
import { messageOf } from './handler.ts';
import type { ContainerStatus } from './runtime/runtime.ts';

const maxBytes = 10 * 2 ** 20;
const maxFiles = 5;

interface Logs {
  uids(): Iterable<string>;
  pod(uid: string): { readonly containers: readonly Pick<ContainerStatus, 'id' | 'state' | 'logPath'>[] };
}

export async function rotateLogs({
  observed,
  runtime,
  host,
  world,
}: Pick<KubeletContext, 'runtime' | 'host' | 'world'> & { observed: Logs }): Promise<void> {
  const log = world.log.child('log-rotation');
  for (const uid of observed.uids()) {
    for (const { id, state, logPath } of observed.pod(uid).containers) {
      if (state !== 'running' || logPath === '' || (await host.disk.size(logPath)) <= maxBytes) continue;
      try {
        const rotated = `${logPath}.${new Date(world.clock.now()).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)}`;
        await host.disk.rename(logPath, rotated);
        await runtime.reopenContainerLog(id);
        const older = (await host.disk.list(dirname(logPath))).filter((name) => name.startsWith(`${basename(logPath)}.`)).sort();
        for (const name of older.slice(0, Math.max(0, older.length - (maxFiles - 1)))) await host.disk.removeTree(join(dirname(logPath), name));
      } catch (error) {
        log.warn('rotating a log failed', { path: logPath, error: messageOf(error) });
      }
    }
  }
}
