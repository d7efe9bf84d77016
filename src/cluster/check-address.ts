/** Whether the API server will be able to listen where it should: asked before anything is written or started, so that a wrong choice leaves no trace. */
import { createServer } from 'node:net';
import type { ClusterConfig } from './config.ts';
import { plainListenError } from './listen-error.ts';

/** Listens there for a moment. Rejects with a `ClusterError` that says what to do when that does not work. */
export function checkAddress({ bindAddress: host, port }: Pick<ClusterConfig, 'bindAddress' | 'port'>): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (error) => reject(plainListenError(error, { host, port, portFlag: '--port', hostFlag: '--bind-address' })));
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}
