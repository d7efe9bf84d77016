/** The two ports requests come in at: HTTP/1.1 on one, TLS with HTTP/1.1 and HTTP/2 on the other. What becomes of a request is somebody else's to say. */
import type { IncomingMessage } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { createServer } from '../world/node-http.ts';
import { ProxyError, type ProxyRequest, type ProxyResponse } from './forward.ts';
import type { ClientFacts } from './headers.ts';

export interface FrontHandlers {
  request(request: ProxyRequest, response: ProxyResponse, client: ClientFacts): Promise<void>;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, client: ClientFacts): Promise<void>;
}

export interface TlsFront {
  /** Served to who asks for no name, or for one without a certificate. */
  readonly certificate: string;
  readonly key: string;
  contextFor(host: string): SecureContext | undefined;
}

export interface Front {
  readonly port: number;
  /** It is reached over IPv6, too. */
  readonly v6: boolean;
  close(): Promise<void>;
}

const limits = { headersTimeout: 30_000, requestTimeout: 0, keepAliveTimeout: 75_000 } as const;

/** On all addresses of the machine, of both families with `v6`; of IPv4 alone where another program has the port for IPv6. Rejects when it cannot be had. */
export async function openFront(v6: boolean, port: number, handlers: FrontHandlers, tls?: TlsFront): Promise<Front> {
  if (!v6) return listenAt('0.0.0.0', port, handlers, tls);
  return listenAt('::', port, handlers, tls).catch(() => listenAt('0.0.0.0', port, handlers, tls));
}

async function listenAt(host: string, port: number, handlers: FrontHandlers, tls?: TlsFront): Promise<Front> {
  const server: Server = tls === undefined ? createServer({ noDelay: true }) : secureServer(tls);
  Object.assign(server, limits);
  const sockets = new Set<Socket>();
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  });
  const factsOf = (request: ProxyRequest): ClientFacts => ({
    address: request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '',
    isTls: tls !== undefined,
    port: request.socket.localPort ?? port,
    host: authorityOf(request),
  });
  server.on('request', (request: ProxyRequest, response: ProxyResponse) => {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    handlers.request(request, response, factsOf(request)).catch((error: unknown) => refuse(response, error));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    handlers.upgrade(request, socket, head, factsOf(request)).catch((error: unknown) => {
      const { statusCode, message } = problemOf(error);
      socket.end(`HTTP/1.1 ${statusCode} ${message}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    });
  });
  server.on('clientError', (_, socket: Duplex) => socket.destroy());
  server.on('sessionError', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    v6: host === '::',
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function secureServer({ certificate, key, contextFor }: TlsFront): Server {
  return createSecureServer({
    cert: certificate,
    key,
    allowHTTP1: true,
    noDelay: true,
    // No context is the server's own.
    SNICallback: (name, answer) => answer(null, contextFor(name)),
  });
}

function authorityOf({ headers }: ProxyRequest): string {
  const authority = headers[':authority'] ?? headers.host;
  return typeof authority === 'string' ? authority : '';
}

function problemOf(error: unknown): { readonly statusCode: number; readonly message: string } {
  return error instanceof ProxyError ? error : new ProxyError(502, error instanceof Error ? error.message : String(error));
}

const reasons: Readonly<Record<number, string>> = {
  404: 'no ingress rule is about this request',
  502: 'the backend did not answer as it should',
  503: 'nothing behind this rule is ready',
  504: 'the backend did not answer in time',
};

/** What went wrong inside is nobody's business outside. */
function refuse(response: ProxyResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy(error instanceof Error ? error : new Error(String(error)));
    return;
  }
  const { statusCode } = problemOf(error);
  const body = `${statusCode}: ${reasons[statusCode] ?? 'the request failed'}\n`;
  response.writeHead(statusCode, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
