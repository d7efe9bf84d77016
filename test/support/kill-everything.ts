/** `kill -9` of all that is a cluster's: daemons and those who watch over them, container runtimes, shims, and what runs in containers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterUnderTest } from './cluster-under-test.ts';

/** Answers their names. */
export function killEverything({ dataDir }: Pick<ClusterUnderTest, 'dataDir'>): ReadonlySet<string> {
  const { id } = JSON.parse(readFileSync(join(dataDir, 'cluster.json'), 'utf8')) as { id: string };
  const names = new Set<string>();
  // One that watched over another may have started it again just before it was killed itself.
  for (let found = processesOf(dataDir, id); found.length > 0; found = processesOf(dataDir, id)) {
    for (const pid of found) {
      try {
        names.add(read(pid, 'comm').trim());
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It ended with one before it.
      }
    }
  }
  return names;
}

/** A cluster's processes have its directory on their command line, or its id in their control group. What is dead and only not yet waited for has none. */
function processesOf(dataDir: string, id: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    const command = read(pid, 'cmdline');
    return command !== '' && (command.includes(`${dataDir}/`) || command.includes(`${dataDir}\0`) || read(pid, 'cgroup').includes(id));
  });
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(join('/proc', pid, file), 'utf8');
  } catch {
    return '';
  }
}
