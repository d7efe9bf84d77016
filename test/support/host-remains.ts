/** What a cluster that was taken down has left on the host; nothing, if all is well. */
import { readdirSync, readFileSync } from 'node:fs';
import { run } from './stock-tools.ts';

/** Everything on the host that carries a cluster's id or data directory. */
export async function hostRemains(id: string, dataDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const [program, ...words] of [
    ['ip', '-brief', 'link'],
    ['ip', 'netns'],
    ['nft', 'list', 'tables'],
  ]) {
    const { stdout } = await run(program ?? '', words);
    found.push(...stdout.split('\n').filter((line) => line.includes(id)));
  }
  found.push(
    ...readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(dataDir)),
  );
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      // Who tidies up after a test that dies is no remains of a cluster.
      if (command.includes(dataDir) && !command.includes(' last-will ')) found.push(`process ${pid}: ${command}`);
    } catch {
      // Ended meanwhile.
    }
  }
  const groups = await run('find', ['/sys/fs/cgroup', '-maxdepth', '3', '-name', `*${id}*`]);
  found.push(...groups.stdout.split('\n').filter((line) => line !== ''));
  return found;
}
