/** Upgrades a connection to the container runtime's streaming server to SPDY/3.1, as `kubectl` would. */
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { request as httpRequest } from '../../world/node-http.ts';

export interface Upgraded {
  readonly socket: Duplex;
  /** The stream protocol that the server chose of those offered; empty when it named none. */
  readonly protocol: string;
}

/** The server answered, but not by upgrading. */
export class UpgradeRefused extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, body: string) {
    super(body);
    this.statusCode = statusCode;
  }
}

const largestRefusal = 64 * 1024;

export function dialSpdy(url: string, protocols: readonly string[]): Promise<Upgraded> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const request = send(url, {
      method: 'POST',
      agent: false,
      headers: { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': [...protocols] },
    });
    request.once('error', reject);
    request.once('upgrade', (response, socket, head) => {
      socket.setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      const protocol = response.headers['x-stream-protocol-version'];
      resolve({ socket, protocol: (Array.isArray(protocol) ? protocol[0] : protocol) ?? '' });
    });
    request.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (body.length < largestRefusal) body += chunk;
      });
      response.once('error', reject);
      response.once('end', () => reject(new UpgradeRefused(response.statusCode ?? 500, body.trim())));
    });
    request.end();
  });
}
