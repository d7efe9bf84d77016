/**
 * Keeps containerd running for as long as the node agent does: its socket is held open, and when the connection breaks containerd is found again, or started
 * anew. Its shims, and with them all containers, go on meanwhile; the new one takes them over. On other machines this is systemd's work.
 */
import { connect } from 'node:net';
import type { World } from '../../world/world.ts';

export interface KeepContainerdOptions {
  readonly world: World;
  readonly socket: string;
  /** Finds it running, or starts it; resolves when it is ready. */
  readonly start: () => Promise<{ readonly pid: number; readonly reused: boolean }>;
  /** Ends the care, not containerd. */
  readonly signal: AbortSignal;
}

const shortestRetryMs = 100;
const longestRetryMs = 10_000;

export function keepContainerd(options: KeepContainerdOptions): void {
  void keep(options);
}

async function keep({ world, socket, start, signal }: KeepContainerdOptions): Promise<void> {
  const log = world.log.child('containerd');
  let retryMs = shortestRetryMs;
  while (!signal.aborted) {
    // containerd also ends a connection that says nothing for two minutes: then it is found running, and nothing happens.
    if (await disconnected(socket, signal)) retryMs = shortestRetryMs;
    if (signal.aborted) return;
    try {
      const { pid, reused } = await start();
      if (!reused) log.warn('containerd had ended and was started again', { pid });
    } catch (error) {
      if (signal.aborted) return;
      log.error('containerd ended and cannot be started again; trying on', { error: error instanceof Error ? error.message : String(error) });
      await world.clock.sleep(retryMs, signal).catch(() => undefined);
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
  }
}

/** Resolves when a connection to the socket is over, or cannot be made: false for that. */
function disconnected(socket: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    let wasConnected = false;
    const connection = connect(socket, () => (wasConnected = true));
    const end = (): void => void connection.destroy();
    signal.addEventListener('abort', end, { once: true });
    // What it says is no concern of ours, but its end shows only while it is read.
    connection.resume();
    connection.on('error', () => undefined);
    connection.on('close', () => {
      signal.removeEventListener('abort', end);
      resolve(wasConnected);
    });
  });
}
