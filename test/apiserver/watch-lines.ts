/** A watch as it comes over HTTP/1.1: a line of JSON for each event. */
import { request as httpsRequest } from 'node:https';
import type { Json, TestServer } from './server.ts';

/** Reads a watch line by line until `count` events have come. */
export function watchLines(
  server: TestServer,
  path: string,
  count: number,
  whenOpen: () => Promise<unknown>,
  headers: Record<string, string> = {},
): Promise<Json[]> {
  const { admin, ca, port } = server;
  return new Promise((resolve, reject) => {
    const events: Json[] = [];
    let rest = '';
    const request = httpsRequest(
      { host: '127.0.0.1', port, path, ca: ca.certificate, cert: admin.certificate, key: admin.key, agent: false, headers },
      (response) => {
        response.setEncoding('utf8');
        response.on('error', () => undefined);
        response.on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          events.push(...lines.map((line): Json => JSON.parse(line)));
          if (events.length >= count) {
            request.destroy();
            resolve(events);
          }
        });
        whenOpen().catch(reject);
      },
    );
    request.on('error', (error) => (events.length >= count ? undefined : reject(error)));
    request.end();
  });
}
