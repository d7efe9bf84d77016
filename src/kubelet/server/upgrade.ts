/** A connection that asks to be upgraded, with what its handlers need. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the request's head. */
  readonly head: Buffer;
  readonly query: URLSearchParams;
}

export function upgradeKind(request: IncomingMessage): 'websocket' | 'spdy' | undefined {
  const wanted = (request.headers.upgrade ?? '').toLowerCase();
  if (wanted === 'websocket') return 'websocket';
  return wanted.startsWith('spdy/3.1') ? 'spdy' : undefined;
}

/** What a SPDY client offers in `X-Stream-Protocol-Version`, which may come several times. */
export function offeredStreamProtocols(request: IncomingMessage): string[] {
  const header = request.headers['x-stream-protocol-version'] ?? [];
  return [header].flat().flatMap((line) => line.split(',').map((protocol) => protocol.trim()));
}
