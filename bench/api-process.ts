/**
 * An API server in a process of its own over a store on disk, for benches that ask what it costs: `startApiProcess` forks this very file, which serves until
 * it is told to end, and answers how much memory and processor time it has taken.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openLmdbStore } from '../src/store/lmdb.ts';
import { realWorld } from '../src/world/real.ts';
import { startTestServer } from '../test/apiserver/server.ts';

export const benchToken = 'bench-token';

export interface ApiProcess {
  readonly port: number;
  /** From the start of the process until it answered. */
  readonly startMs: number;
  usage(): Promise<Usage>;
  close(): Promise<void>;
}

export interface Usage {
  readonly rssBytes: number;
  /** Of these, what is its own and not pages of files, which the system takes back when it needs them. */
  readonly ownBytes: number;
  /** Of all its threads since it began. */
  readonly cpuMs: number;
}

export async function startApiProcess(storePath: string): Promise<ApiProcess> {
  const begin = performance.now();
  const child = fork(fileURLToPath(import.meta.url), [storePath], { execArgv: ['--expose-gc'] });
  const exited = once(child, 'exit');
  const [port] = (await Promise.race([
    once(child, 'message'),
    exited.then(() => {
      throw new Error('the API server did not start');
    }),
  ])) as [number];
  return {
    port,
    startMs: performance.now() - begin,
    async usage() {
      const answer = once(child, 'message');
      child.send('usage');
      const [usage] = (await answer) as [Usage];
      return usage;
    },
    async close() {
      child.send('end');
      await exited;
    },
  };
}

async function serve(path: string): Promise<void> {
  const store = await openLmdbStore({ path, world: realWorld({ level: 'error' }) });
  const staticTokens = new Map([[benchToken, { name: 'bench', uid: '1', groups: ['system:masters'], extra: {} }]]);
  const server = await startTestServer({ store, staticTokens });
  process.on('message', (message) => {
    if (message === 'usage') {
      globalThis.gc?.();
      const { user, system } = process.cpuUsage();
      const own = Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? NaN) * 1024;
      process.send?.({ rssBytes: process.memoryUsage.rss(), ownBytes: own, cpuMs: (user + system) / 1000 } satisfies Usage);
      return;
    }
    void server.close().then(async () => {
      await store.close();
      process.disconnect?.();
    });
  });
  process.send?.(server.port);
}

const [, , storePath] = process.argv;
if (import.meta.main && storePath !== undefined) await serve(storePath);
