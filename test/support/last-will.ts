/**
 * What is done when this process ends before it has tidied up, however it ends: a shell waits at the other end of a pipe, and gets to work when the pipe
 * closes. A test that fails half-way, whose set-up throws or that the runner kills leaves nothing behind thereby. (Testcontainers calls theirs the reaper.)
 */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { launcher } from './stock-tools.ts';

export interface LastWill {
  /** All is tidy: nothing is left to do. */
  withdraw(): void;
}

/** `script` is for `sh`; `values` are its `$1`, `$2` and so on. */
export function lastWill(script: string, ...values: readonly string[]): LastWill {
  const heir = spawn('sh', ['-c', `read -r word; [ "$word" = withdrawn ] && exit; ${script}`, 'last-will', ...values], {
    // A session of its own: what ends this process with its group (Ctrl-C, the runner) must not end it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Nor may it keep the process whose end it waits for.
  heir.unref();
  if (heir.stdin instanceof Socket) heir.stdin.unref();
  heir.stdin.on('error', () => undefined);
  return { withdraw: () => void heir.stdin.end('withdrawn\n') };
}

/** Every cluster whose data lies in `directory` or below goes, and `directory` with them and with what is mounted there. A `k8ts up` that is still at work is let finish. */
export function downWithAllIn(directory: string): LastWill {
  return lastWill(downScript, launcher, directory);
}

const downScript = `
tries=0
while [ $tries -lt 120 ] && pgrep -f "up --data-dir $2" >/dev/null; do tries=$((tries + 1)); sleep 0.5; done
export HOME="$2" KUBECONFIG="$2/kubeconfig"
find "$2" -maxdepth 3 -name cluster.json | while read -r record; do "$1" down --purge --data-dir "$(dirname "$record")"; done
grep -F " $2/" /proc/mounts | cut -d ' ' -f 2 | sort -r | xargs -r -n 1 umount -l
rm -rf "$2"`;
