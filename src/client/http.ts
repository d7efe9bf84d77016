/**
 * The transport over HTTP/1.1, with TLS as a kubeconfig describes it: authority, client certificate, bearer token. Connections are kept alive;
 * watches and streams have connections of their own, so that they never stand in the way of requests.
 */
import { readFileSync, statSync } from 'node:fs';
import type { Agent as HttpAgent, AgentOptions, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createSecureContext } from 'node:tls';
import { errorFromStatus, type Status } from '../machinery/errors.ts';
import { Agent as PlainAgent, request as httpRequest } from '../world/node-http.ts';
import { ConnectionError } from './connection-error.ts';
import { jsonLines } from './json-lines.ts';
import type { ApiRequest, Transport, WatchEvent } from './transport.ts';

export interface HttpTransportOptions {
  /** `https://10.0.0.1:6443`, with a path below which the API lies if there is one. `http:` is allowed, for `kubectl proxy` and tests. */
  readonly server: string;
  /** PEM; the system's authorities when absent. */
  readonly ca?: string;
  /** PEM chain and key of the client. */
  readonly certificate?: string;
  readonly key?: string;
  readonly token?: string;
  /** Read again whenever it changes, as projected service account tokens do. */
  readonly tokenFile?: string;
  /** Asked before each request, in place of the two above: for tokens that are themselves asked of the API. */
  readonly tokens?: TokenSource;
  /** The name the server's certificate is checked for, when not the one in `server`. */
  readonly serverName?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** Acts as this user, if whoever we are may: `Impersonate-User`. */
  readonly impersonate?: string;
  readonly impersonateGroups?: readonly string[];
  readonly userAgent?: string;
  /** Silence after which a request (not a watch or stream) is given up; 60 s when absent. */
  readonly timeoutMs?: number;
}

export interface TokenSource {
  get(): string | Promise<string>;
  /** The server did not take this one (401): the next request needs another. */
  refused(token: string): void;
}

export interface HttpTransport extends Transport {
  readonly shared: false;
  /** The answer as it comes, for logs and other bodies that are not API objects; the caller reads or destroys it. Rejects with `ApiError` for an error answer. */
  stream(request: ApiRequest): Promise<IncomingMessage>;
  /** Shows another client certificate from now on. What is under way ends as it began; nothing new goes over its connections. */
  present(identity: { readonly certificate: string; readonly key: string }): void;
}

interface ClientIdentity {
  readonly certificate?: string;
  readonly key?: string;
}

interface Agents {
  readonly request: HttpAgent;
  readonly stream: HttpAgent;
}

const maxParallelRequests = 128;
const maxIdleConnections = 16;
/** Watched objects are at most a request's 3 MiB; old and new encodings of it fit well below this. */
const maxWatchLineBytes = 32 * 1024 * 1024;
const maxAnswerBytes = 1024 * 1024 * 1024;
const maxErrorBytes = 1024 * 1024;
const keepAliveProbeMs = 15_000;
/** After a burst of requests, connections go that nobody uses any more; what is asked every ten seconds (a lease) keeps one. */
const idleConnectionMs = 15_000;
/** How much longer than it was asked to last a watch may be silent. */
const watchSlackMs = 30_000;

export function httpTransport(options: HttpTransportOptions): HttpTransport {
  return new HttpConnection(options);
}

class HttpConnection implements HttpTransport {
  readonly shared = false;
  readonly #base: URL;
  readonly #basePath: string;
  readonly #makeAgents: (identity: ClientIdentity) => Agents;
  #agents: Agents;
  readonly #userAgent: string;
  readonly #timeoutMs: number;
  readonly #impersonation: Readonly<Record<string, string | readonly string[]>>;
  readonly #token: () => string | undefined;
  readonly #tokens: TokenSource | undefined;
  readonly #open = new Set<ClientRequest>();
  #closed = false;

  constructor(options: HttpTransportOptions) {
    this.#base = new URL(options.server);
    this.#basePath = this.#base.pathname.replace(/\/+$/, '');
    this.#userAgent = options.userAgent ?? 'k8ts';
    this.#timeoutMs = options.timeoutMs ?? 60_000;
    this.#token = tokenSource(options);
    this.#tokens = options.tokens;
    this.#impersonation = {
      ...(options.impersonate !== undefined && { 'impersonate-user': options.impersonate }),
      ...(options.impersonateGroups && { 'impersonate-group': options.impersonateGroups }),
    };
    const shared = { keepAlive: true, keepAliveMsecs: keepAliveProbeMs, noDelay: true };
    const trust = {
      ...(options.serverName !== undefined && { servername: options.serverName }),
      rejectUnauthorized: !options.insecureSkipTlsVerify,
    };
    this.#makeAgents = ({ certificate, key }) => {
      // One for all connections: made anew for each, it takes as much memory as the connection itself.
      const secureContext = createSecureContext({
        ...(options.ca !== undefined && { ca: options.ca }),
        ...(certificate !== undefined && { cert: certificate }),
        ...(key !== undefined && { key }),
      });
      const make = (bounds: AgentOptions): HttpAgent =>
        this.#base.protocol === 'http:'
          ? new PlainAgent({ ...shared, ...bounds })
          : new HttpsAgent({ ...shared, ...bounds, ...trust, secureContext });
      return {
        request: make({ maxSockets: maxParallelRequests, maxFreeSockets: maxIdleConnections, timeout: idleConnectionMs }),
        // Unbounded here: each watch and stream is owned by a caller, who has the bound.
        stream: make({ maxFreeSockets: 1 }),
      };
    };
    this.#agents = this.#makeAgents(options);
  }

  present(identity: ClientIdentity): void {
    const old = this.#agents;
    this.#agents = this.#makeAgents(identity);
    // Its connections end with the requests they carry.
    for (const agent of [old.request, old.stream]) {
      agent.maxFreeSockets = 0;
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    }
  }

  async request(request: ApiRequest): Promise<unknown> {
    try {
      return await this.#exchange(request);
    } catch (error) {
      request.signal?.throwIfAborted();
      // The server closed an idle connection just as it was used again. A read may safely be asked twice.
      if (request.method === 'GET' && error instanceof StaleConnection) return this.#exchange(request);
      throw error;
    }
  }

  async *watch(request: ApiRequest): AsyncGenerator<WatchEvent> {
    const asked = Number(request.query?.['timeoutSeconds']);
    let response: IncomingMessage;
    try {
      response = await this.#send(request, this.#agents.stream, Number.isFinite(asked) ? asked * 1_000 + watchSlackMs : 0);
    } catch (error) {
      if (request.signal?.aborted) return;
      throw error;
    }
    try {
      for await (const line of jsonLines(this.#chunks(response), maxWatchLineBytes)) {
        const event = line as WatchEvent | { readonly type: 'ERROR'; readonly object: Partial<Status> };
        if (event.type === 'ERROR') throw errorFromStatus(event.object, event.object.code ?? 500);
        yield event;
      }
    } catch (error) {
      if (request.signal?.aborted) return;
      throw error;
    } finally {
      response.destroy();
    }
  }

  stream(request: ApiRequest): Promise<IncomingMessage> {
    return this.#send(request, this.#agents.stream, 0);
  }

  close(): void {
    this.#closed = true;
    for (const request of this.#open) request.destroy(new Error('the client was closed'));
    this.#agents.request.destroy();
    this.#agents.stream.destroy();
  }

  async #exchange(request: ApiRequest): Promise<unknown> {
    const response = await this.#send(request, this.#agents.request, this.#timeoutMs);
    const body = await this.#readAll(response, maxAnswerBytes);
    if (body.length === 0) return undefined;
    try {
      return JSON.parse(body.toString('utf8'));
    } catch (error) {
      throw errorFromStatus({ message: `the answer to ${request.method} ${request.path} is not JSON: ${asError(error).message}` }, 500);
    }
  }

  /** Resolves with the head of a good answer; error answers are read and thrown as the `ApiError` they stand for. */
  async #send(request: ApiRequest, agent: HttpAgent, timeoutMs: number): Promise<IncomingMessage> {
    if (this.#closed) throw new Error('the client is closed');
    request.signal?.throwIfAborted();
    const token = this.#tokens === undefined ? this.#token() : await this.#tokens.get();
    const response = await this.#headOf(request, token, agent, timeoutMs);
    const code = response.statusCode ?? 500;
    if (code >= 200 && code < 300) return response;
    if (code === 401 && token !== undefined) this.#tokens?.refused(token);
    const body = await this.#readAll(response, maxErrorBytes);
    throw errorFromStatus(statusOf(body.toString('utf8'), code), code);
  }

  #headOf(request: ApiRequest, token: string | undefined, agent: HttpAgent, timeoutMs: number): Promise<IncomingMessage> {
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const options: RequestOptions = {
      agent,
      method: request.method,
      host: this.#base.hostname.replace(/^\[|\]$/g, ''),
      port: this.#base.port,
      path: this.#basePath + request.path + queryString(request.query),
      timeout: timeoutMs,
      headers: {
        accept: 'application/json',
        'user-agent': this.#userAgent,
        ...this.#impersonation,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': request.contentType ?? 'application/json', 'content-length': body.length }),
      },
      ...(request.signal && { signal: request.signal }),
    };
    return new Promise((resolve, reject) => {
      const sent = this.#base.protocol === 'http:' ? httpRequest(options) : httpsRequest(options);
      this.#open.add(sent);
      sent.on('close', () => this.#open.delete(sent));
      sent.on('timeout', () => sent.destroy(new Error(`no answer for ${timeoutMs / 1_000} s`)));
      sent.on('response', resolve);
      sent.on('error', (error) => reject(this.#failure(error, request.signal, sent.reusedSocket)));
      sent.end(body);
    });
  }

  async #readAll(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.#chunks(response)) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxBytes) {
        response.destroy();
        throw new ConnectionError(this.#base.host, new Error(`the answer is larger than ${maxBytes} bytes`));
      }
    }
    return Buffer.concat(chunks, bytes);
  }

  /** The body, with its errors as ours. */
  async *#chunks(response: IncomingMessage): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response) yield chunk as Uint8Array;
    } catch (error) {
      throw this.#failure(asError(error), undefined, false);
    }
  }

  #failure(error: Error, signal: AbortSignal | undefined, reused: boolean): Error {
    if (signal?.aborted) return asError(signal.reason);
    const reset = 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
    return reused && reset ? new StaleConnection(this.#base.host, error) : new ConnectionError(this.#base.host, error);
  }
}

/** A kept-alive connection turned out to be closed by the other side. */
class StaleConnection extends ConnectionError {}

function tokenSource({ token, tokenFile }: HttpTransportOptions): () => string | undefined {
  if (tokenFile === undefined) return () => token;
  let read = '';
  let readAtMs = -1;
  return () => {
    const { mtimeMs } = statSync(tokenFile);
    if (mtimeMs !== readAtMs) {
      read = readFileSync(tokenFile, 'utf8').trim();
      readAtMs = mtimeMs;
    }
    return read;
  };
}

function queryString(query: ApiRequest['query']): string {
  if (query === undefined) return '';
  const text = new URLSearchParams(query).toString();
  return text === '' ? '' : `?${text}`;
}

function statusOf(body: string, code: number): Partial<Status> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value && 'kind' in value && value.kind === 'Status') return value as Partial<Status>;
  } catch {
    // Not a Status: a proxy on the way, or a plain text answer. Its words are the best there is.
  }
  return { message: body.trim().slice(0, 1_000) || `the server answered ${code}` };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
