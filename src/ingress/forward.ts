/**
 * Passes one request on to one of a backend's endpoints, and the answer back, as a stream. An endpoint that takes no connection is passed over for the next:
 * nothing was sent yet. One that breaks an old connection is tried again where doing it twice does no harm.
 */
import type { Agent as HttpAgent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { constants, type Http2ServerRequest } from 'node:http2';
import { type Duplex, pipeline, type Writable } from 'node:stream';
import { Agent, request as httpRequest } from '../world/node-http.ts';
import type { World } from '../world/world.ts';
import type { Endpoint } from './backends.ts';
import { type ClientFacts, requestHeaders, responseHeaders } from './headers.ts';

export type ProxyRequest = IncomingMessage | Http2ServerRequest;

/** What both versions of HTTP have of an answer. */
export interface ProxyResponse extends Writable {
  readonly headersSent: boolean;
  writeHead(statusCode: number, headers?: OutgoingHttpHeaders): unknown;
  flushHeaders?(): void;
  /** Of HTTP/2. */
  readonly stream?: { close(code: number): void };
}

/** As ingress-nginx: 5 s to connect, 60 s between two pieces of a request or an answer. */
const connectMs = 5_000;
const idleMs = 60_000;
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** Ends a request with a status code: nothing was answered yet. */
export class ProxyError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

export class Forwarder {
  readonly #world: World;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });

  constructor(world: World) {
    this.#world = world;
  }

  /** Rejects with a {@link ProxyError} before anything was answered. */
  async forward(request: ProxyRequest, response: ProxyResponse, endpoints: readonly Endpoint[], client: ClientFacts): Promise<void> {
    const sent = {
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      headers: bodyHeaders(request, requestHeaders(request.headers, client)),
    };
    const body = hasBody(request) ? request : undefined;
    if (body !== undefined || !idempotent.has(sent.method)) return this.#exchange(await this.#open(endpoints, sent, undefined), body, response);
    const backend = await this.#open(endpoints, sent, this.#agent);
    try {
      await this.#exchange(backend, undefined, response);
    } catch (error) {
      // The backend had closed a connection that was kept for another request: it never saw this one.
      if (!backend.reusedSocket || response.headersSent || response.destroyed) throw error;
      await this.#exchange(await this.#open(endpoints, sent, undefined), undefined, response);
    }
  }

  async #exchange(backend: ClientRequest, body: ProxyRequest | undefined, response: ProxyResponse): Promise<void> {
    const abandon = (): void => {
      backend.destroy();
    };
    response.once('close', abandon);
    const answering = answerOf(backend);
    if (body === undefined) backend.end();
    else pipeline(body, backend, () => undefined);
    const answer = await answering.finally(() => response.off('close', abandon));
    passAnswer(answer, response);
  }

  /** The same for a request to change protocols; whatever comes after is passed both ways. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, endpoints: readonly Endpoint[], client: ClientFacts): Promise<void> {
    const headers = requestHeaders(request.headers, client, request.headers.upgrade ?? '');
    const backend = await this.#open(endpoints, { method: request.method ?? 'GET', path: request.url ?? '/', headers }, undefined);
    socket.once('close', () => backend.destroy());
    backend.setTimeout(0);
    backend.once('upgrade', (answer, backendSocket, backendHead) => {
      socket.write(headOf(answer));
      if (backendHead.length > 0) socket.write(backendHead);
      if (head.length > 0) backendSocket.write(head);
      pipeline(backendSocket, socket, () => undefined);
      pipeline(socket, backendSocket, () => undefined);
    });
    const answering = answerOf(backend);
    backend.end();
    const answer = await Promise.race([answering, new Promise<undefined>((resolve) => backend.once('upgrade', () => resolve(undefined)))]);
    if (answer === undefined) {
      answering.catch(() => undefined);
      return;
    }
    // It stays with HTTP: the answer goes out as it is, and ends the connection.
    socket.write(headOf(answer, { connection: 'close' }));
    pipeline(answer, socket, () => undefined);
  }

  close(): void {
    this.#agent.destroy();
  }

  /** A request on a connection that stands, to one of the endpoints; a new one unless an agent has one left. */
  async #open(
    endpoints: readonly Endpoint[],
    sent: { readonly method: string; readonly path: string; readonly headers: OutgoingHttpHeaders },
    agent: HttpAgent | undefined,
  ): Promise<ClientRequest> {
    const first = this.#world.random.int(endpoints.length);
    let problem = 'there is none';
    for (const [turn] of endpoints.entries()) {
      const endpoint = endpoints[(first + turn) % endpoints.length];
      if (endpoint === undefined) continue;
      const backend = httpRequest({ ...sent, ...endpoint, agent: agent ?? false, setHost: false });
      const failure = await connected(backend, this.#world);
      if (failure === undefined) return backend;
      problem = failure;
    }
    throw new ProxyError(problem === timedOut ? 504 : 502, `no endpoint could be reached: ${problem}`);
  }
}

const timedOut = 'the connection was not made in time';

/** What went wrong before a connection stood; undefined when it does. */
function connected(backend: ClientRequest, { clock }: World): Promise<string | undefined> {
  return new Promise((resolve) => {
    backend.on('error', (error) => resolve(error.message));
    backend.once('socket', (socket) => {
      if (!socket.connecting) {
        resolve(undefined);
        return;
      }
      const timer = clock.after(connectMs, () => {
        resolve(timedOut);
        backend.destroy();
      });
      socket.once('connect', () => resolve(undefined));
      socket.once('close', () => timer.cancel());
      socket.once('connect', () => timer.cancel());
    });
  });
}

function answerOf(backend: ClientRequest): Promise<IncomingMessage> {
  backend.setTimeout(idleMs, () => backend.destroy(new ProxyError(504, 'the backend did not answer in time')));
  return new Promise((resolve, reject) => {
    let answered = false;
    backend.once('response', (answer) => {
      answered = true;
      resolve(answer);
    });
    backend.on('error', (error) => reject(error instanceof ProxyError ? error : new ProxyError(502, `the backend broke off: ${error.message}`)));
    // It closes after every answer, too, and making an error is dear.
    backend.once('close', () => (answered ? undefined : reject(new ProxyError(502, 'the backend closed the connection'))));
  });
}

function passAnswer(answer: IncomingMessage, response: ProxyResponse): void {
  if (response.destroyed) {
    answer.destroy();
    return;
  }
  response.writeHead(answer.statusCode ?? 502, responseHeaders(answer.headers));
  // What may go on for ever, and begin late, is told of at once; else one packet holds head and body.
  if (answer.headers['content-length'] === undefined) response.flushHeaders?.();
  // Half an answer is no answer: the client must see that it broke off.
  answer.once('error', () => destroy(response));
  answer.once('close', () => (answer.complete ? undefined : destroy(response)));
  response.once('close', () => (answer.complete ? undefined : answer.destroy()));
  answer.pipe(response);
}

function destroy(response: ProxyResponse): void {
  if (response.stream === undefined) response.destroy();
  else response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
}

/** HTTP/2 says with the headers whether that is all. */
function hasBody(request: ProxyRequest): boolean {
  if ('stream' in request) return !request.stream.endAfterHeaders;
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}

function bodyHeaders(request: ProxyRequest, headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const isUnsaid = 'stream' in request && hasBody(request) && request.headers['content-length'] === undefined;
  return isUnsaid ? { ...headers, 'transfer-encoding': 'chunked' } : headers;
}

function headOf(answer: IncomingMessage, instead?: Readonly<Record<string, string>>): string {
  const lines = [`HTTP/1.1 ${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}`];
  const { rawHeaders } = answer;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = rawHeaders.slice(i, i + 2);
    if (instead === undefined || !(name.toLowerCase() in instead || name.toLowerCase() === 'transfer-encoding')) lines.push(`${name}: ${value}`);
  }
  for (const [name, value] of Object.entries(instead ?? {})) lines.push(`${name}: ${value}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
