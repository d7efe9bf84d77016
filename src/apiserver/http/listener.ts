/**
 * The TLS port: HTTP/1.1 and HTTP/2 by ALPN. Slow and broken clients are bounded by timeouts, malformed requests get a `Status`, and closing ends what is
 * open within a bounded time.
 */
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, DEFAULT_CIPHERS, type SecureContext, type SecureContextOptions } from 'node:tls';
import { ApiError, badRequest, entityTooLarge } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import type { ListenOptions, NamedCertificate, ServingCertificates, TlsSettings } from '../api-server.ts';
import type { HttpRequest, HttpResponse } from './connection.ts';
import { writeRawError } from './raw-error.ts';

export interface ListenerHandlers {
  readonly request: (request: HttpRequest, response: HttpResponse) => void;
  /** An HTTP/1.1 request to change protocols; `head` is what came after its headers. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly handshakeFailed: () => void;
}

export interface Listener {
  readonly port: number;
  /** For connections from now on. */
  replaceCertificates(certificates: ServingCertificates): void;
  /** Stops accepting, and resolves when all connections are gone: at the latest after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Times for clients to get things done. Watches and proxied streams have no limit once their request is in. */
const limits = { handshakeMs: 10_000, headersMs: 30_000, requestMs: 60_000, idleMs: 180_000 } as const;

/** Node's, but with upstream's first choice first: as safe for what goes over these connections, and a sixth faster on large answers. */
const firstCipher = 'TLS_AES_128_GCM_SHA256';
const ciphers = [firstCipher, ...DEFAULT_CIPHERS.split(':').filter((cipher) => cipher !== firstCipher)].join(':');

export async function listenTls(world: World, options: ListenOptions, clientCa: string, handlers: ListenerHandlers): Promise<Listener> {
  const settings = contextSettings(options.tls ?? {});
  const secure = (served: ServingCertificates): SecureContextOptions => ({
    cert: served.certificate,
    key: served.key,
    ca: served.clientCa ?? clientCa,
    honorCipherOrder: true,
    ...settings,
  });
  const namedContexts = (served: ServingCertificates): NamedContext[] =>
    (served.sni ?? options.sni ?? []).map((named) => ({ ...named, context: createSecureContext(secure({ ...served, ...named })) }));
  let named = namedContexts(options);
  const server = createSecureServer({
    ...secure(options),
    ...((options.sni ?? []).length > 0 && {
      // No context is the server's own.
      SNICallback: (name: string, answer: (error: Error | null, context?: SecureContext) => void) => answer(null, contextFor(named, name)),
    }),
    allowHTTP1: true,
    requestCert: true,
    // A connection without a certificate may still show a token; one with a bad certificate gets a 401 it can read.
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeMs,
    noDelay: true,
    keepAlive: true,
    maxSessionMemory: 64,
    settings: { maxConcurrentStreams: 1000, initialWindowSize: 1024 * 1024 },
  });
  // Properties of the HTTP/1.1 side, which the types of the HTTP/2 server do not know.
  Object.assign(server, { keepAliveTimeout: limits.idleMs, headersTimeout: limits.headersMs, requestTimeout: limits.requestMs });
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
  });
  server.on('sessionError', () => undefined);
  server.on('tlsClientError', (error, socket) => {
    handlers.handshakeFailed();
    world.log.debug('a TLS handshake failed', { error: error.message });
    socket.destroy();
  });
  server.on('request', handlers.request);
  server.on('upgrade', handlers.upgrade);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => refuse(error, socket));
  await listening(server, options);
  // The server listens on TCP.
  const { port } = server.address() as AddressInfo;
  const replaceCertificates = (served: ServingCertificates): void => {
    const next = namedContexts(served);
    server.setSecureContext(secure(served));
    named = next;
  };
  return { port, replaceCertificates, close: (graceMs) => closeServer(world, server, sockets, sessions, graceMs) };
}

interface NamedContext extends NamedCertificate {
  readonly context: SecureContext;
}

function contextSettings({ minVersion = 'TLSv1.2', cipherSuites, curves }: TlsSettings): SecureContextOptions {
  const fixed = DEFAULT_CIPHERS.split(':').filter((cipher) => cipher.startsWith('TLS_'));
  return {
    minVersion,
    ciphers: cipherSuites === undefined ? ciphers : [...fixed, ...cipherSuites].join(':'),
    ...(curves && { ecdhCurve: curves.join(':') }),
  };
}

/** A name as it is goes before one with a star. */
function contextFor(named: readonly NamedContext[], name: string): SecureContext | undefined {
  const asked = name.toLowerCase();
  const starred = asked.replace(/^[^.]+/, '*');
  const found = named.find(({ names }) => names.includes(asked)) ?? named.find(({ names }) => names.includes(starred));
  return found?.context;
}

function listening(server: Http2SecureServer, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject);
      server.on('error', () => undefined);
      resolve();
    });
  });
}

/** A request too broken to be parsed, or too slow. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  writeRawError(socket, parseFailure(error));
}

function parseFailure(error: NodeJS.ErrnoException): ApiError {
  if (error.code === 'HPE_HEADER_OVERFLOW') return new ApiError('RequestEntityTooLarge', 'the headers of the request are too large', {}, 431);
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return new ApiError('Timeout', 'the request did not arrive in time', {}, 408);
  if (error.code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return entityTooLarge(0);
  return badRequest(`malformed HTTP request: ${error.message}`);
}

async function closeServer(
  world: World,
  server: Http2SecureServer,
  sockets: ReadonlySet<Socket>,
  sessions: ReadonlySet<ServerHttp2Session>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  for (const session of sessions) session.close();
  const last = world.clock.after(graceMs, () => {
    for (const socket of sockets) socket.destroy();
  });
  await closed;
  last.cancel();
}
