/** What an HTTP request and its response have in common in version 1.1 and 2, and what a request needs from its TLS connection. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { ApiError, badRequest, entityTooLarge } from '../../machinery/errors.ts';

export interface HttpRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly httpVersionMajor: number;
  readonly stream?: ServerHttp2Stream;
  readonly socket: unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'end' | 'aborted' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  pause?(): unknown;
  resume(): unknown;
}

export interface HttpResponse {
  readonly headersSent: boolean;
  readonly statusCode: number;
  readonly writableEnded: boolean;
  readonly writableLength: number;
  writeHead(code: number, headers: OutgoingHttpHeaders): unknown;
  write(chunk: string | Uint8Array, done?: (error: Error | null | undefined) => void): boolean;
  end(chunk?: string | Uint8Array): unknown;
  on(event: 'close' | 'drain' | 'finish', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'drain', listener: () => void): unknown;
  cork(): void;
  uncork(): void;
  flushHeaders?(): void;
  destroy(error?: Error): unknown;
}

/** HTTP/1.1 has the server's own limit; of an HTTP/2 stream nobody else would notice that it stands still. */
const bodyStallMs = 60_000;

export const bodyLimitBytes = 3 * 1024 * 1024;

/** The connection a request came over: the same object for all of its requests. */
export function connectionOf(request: HttpRequest): TLSSocket {
  const socket = request.httpVersionMajor === 2 ? request.stream?.session?.socket : request.socket;
  if (socket === undefined || socket === null) throw new ApiError('ServiceUnavailable', 'the connection is closed');
  // The server only listens with TLS.
  return socket as TLSSocket;
}

/** The whole body. Rejects with a 413 past the limit, and a 400 when the client goes away in the middle. */
export function readBody(request: HttpRequest): Promise<Uint8Array> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > bodyLimitBytes) {
    request.resume();
    return Promise.reject(entityTooLarge(bodyLimitBytes));
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    // Every request closes, most after their end: an error for each would cost as much as reading the body.
    let ended = false;
    request.stream?.setTimeout(bodyStallMs, () => {
      if (!ended) reject(new ApiError('Timeout', 'the request did not arrive in time', {}, 408));
    });
    request.on('data', (chunk) => {
      length += chunk.length;
      // What comes after the limit is read and dropped, so that the client hears the answer.
      if (length <= bodyLimitBytes) chunks.push(chunk);
      else chunks.length = 0;
    });
    request.on('end', () => {
      ended = true;
      request.stream?.setTimeout(0);
      if (length > bodyLimitBytes) reject(entityTooLarge(bodyLimitBytes));
      else resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks, length));
    });
    // The client gone in the middle comes as an error in HTTP/1.1 and as a close in HTTP/2.
    request.on('error', () => reject(badRequest('the request ended before its body did')));
    request.on('close', () => {
      if (!ended) reject(badRequest('the request ended before its body did'));
    });
  });
}
