/** One group and version that another server serves behind a Service: how it is reached, and what it said it has. */
import type { Agent } from 'node:https';
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { APIService } from '../../api/kinds.ts';
import { equal } from '../../machinery/equal.ts';
import { ApiError, serviceUnavailable } from '../../machinery/errors.ts';
import { https } from '../../world/http-modules.ts';
import type { World } from '../../world/world.ts';
import type { HttpRequest, HttpResponse } from '../http/connection.ts';
import { forwardedHeaders, returnedHeaders } from '../proxy/headers.ts';
import { answerOf, pass, passBody } from '../proxy/streams.ts';
import { tunnel } from '../proxy/tunnel.ts';
import type { User } from '../request.ts';
import { type Endpoint, endpointsOf, type ServiceReference, Unreachable } from '../service-endpoint.ts';
import type { ObjectReader } from '../verbs.ts';
import { headersOf, isIdentityHeader } from './identity-headers.ts';

/** The certificate that makes identity headers believed. */
export interface ProxyClient {
  readonly certificate: string;
  readonly key: string;
}

export interface RemoteContext {
  readonly world: World;
  readonly objects: ObjectReader;
  readonly proxyClient: ProxyClient | undefined;
}

/** More than any discovery or OpenAPI document is long. */
const answerBoundBytes = 64 * 1024 * 1024;

export interface RemoteAnswer {
  readonly code: number;
  readonly etag: string | undefined;
  readonly body: Buffer;
}

/** An APIResourceList's items, as far as discovery looks at them. */
export interface RemoteResource {
  readonly name: string;
  readonly singularName?: string;
  readonly namespaced?: boolean;
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

export class RemoteApi {
  readonly spec: APIService['spec'];
  /** The last answer to discovery; undefined until there was one. */
  resources: readonly RemoteResource[] | undefined;
  isAvailable = false;
  readonly #context: RemoteContext;
  readonly #agent: Agent;

  constructor(context: RemoteContext, spec: APIService['spec']) {
    this.#context = context;
    this.spec = spec;
    const { proxyClient } = context;
    const { caBundle = '', insecureSkipTLSVerify, service } = spec;
    this.#agent = new (https().Agent)({
      keepAlive: true,
      maxFreeSockets: 16,
      timeout: 0,
      minVersion: 'TLSv1.2',
      servername: `${service?.name ?? ''}.${service?.namespace ?? ''}.svc`,
      ...(caBundle !== '' && { ca: Buffer.from(caBundle, 'base64').toString('utf8') }),
      ...(insecureSkipTLSVerify === true && { rejectUnauthorized: false }),
      ...(proxyClient && { cert: proxyClient.certificate, key: proxyClient.key }),
    });
  }

  /** Whether another specification means the same server in the same place. */
  isFor(spec: APIService['spec']): boolean {
    return equal(this.spec, spec);
  }

  get service(): ServiceReference {
    const { name = '', namespace = '', port = 443 } = this.spec.service ?? {};
    return { name, namespace, port };
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Passes a request on, and its answer back. Rejects with an `ApiError` before anything was written. */
  async handle(request: HttpRequest, response: HttpResponse, user: User): Promise<void> {
    const backend = this.#requestAs(user, request.method ?? 'GET', request.url ?? '/', sentOn(request, false));
    const answering = answerOf(backend, response);
    passBody(request, backend);
    const answer = await answering;
    response.writeHead(answer.statusCode ?? 502, returnedHeaders(answer.rawHeaders));
    response.flushHeaders?.();
    pass(answer, response);
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, user: User): void {
    tunnel(this.#requestAs(user, request.method ?? 'GET', request.url ?? '/', sentOn(request, true)), socket, head);
  }

  /** A request of a component in this process. The answer's body comes as it does. Rejects with an `ApiError` when there is no answer. */
  ask(
    user: User,
    request: { method: string; path: string; body?: object; headers?: OutgoingHttpHeaders; signal?: AbortSignal },
  ): Promise<IncomingMessage> {
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const backend = this.#requestAs(user, request.method, request.path, {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...request.headers,
    });
    return responseTo(backend, body, request.signal);
  }

  /** A document of the server, asked for as the aggregator, at any of its endpoints or a given one. Rejects when it does not come in time. */
  async fetch(path: string, options: { timeoutMs: number; accept?: string; etag?: string | undefined; endpoint?: Endpoint }): Promise<RemoteAnswer> {
    const { clock } = this.#context.world;
    const gone = new AbortController();
    const timer = clock.after(options.timeoutMs, () => gone.abort(new Error(`no answer within ${options.timeoutMs} ms`)));
    try {
      const headers = { accept: options.accept ?? 'application/json', ...(options.etag !== undefined && { 'if-none-match': options.etag }) };
      const backend = this.#request(options.endpoint ?? this.#endpoint(), {
        method: 'GET',
        path,
        headers: { ...headers, ...headersOf(aggregatorUser) },
      });
      const answer = await responseTo(backend, undefined, gone.signal);
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > answerBoundBytes) throw new Error('the answer is too long');
        chunks.push(chunk);
      }
      return { code: answer.statusCode ?? 0, etag: answer.headers.etag, body: Buffer.concat(chunks) };
    } finally {
      timer.cancel();
    }
  }

  #requestAs(user: User, method: string, path: string, headers: OutgoingHttpHeaders): ClientRequest {
    if (!this.isAvailable) throw serviceUnavailable('service unavailable');
    return this.#request(this.#endpoint(), { method, path, headers: { ...headers, ...headersOf(user) } });
  }

  #endpoint(): Endpoint {
    try {
      const endpoints = endpointsOf(this.#context.objects, this.service);
      const chosen = endpoints[this.#context.world.random.int(endpoints.length)];
      if (chosen !== undefined) return chosen;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
    throw serviceUnavailable('service unavailable');
  }

  #request({ host, port }: Endpoint, { method, path, headers }: { method: string; path: string; headers: OutgoingHttpHeaders }): ClientRequest {
    const { name, namespace } = this.service;
    return https().request({ agent: this.#agent, host, port, method, path, headers: { ...headers, host: `${name}.${namespace}.svc` } });
  }
}

/** Whom upstream's aggregator asks as. */
const aggregatorUser: User = { name: 'system:kube-aggregator', uid: '', groups: ['system:masters'], extra: {} };

function sentOn(request: HttpRequest, isUpgrade: boolean): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(forwardedHeaders(request, isUpgrade)).filter(([name]) => !isIdentityHeader(name)));
}

function responseTo(backend: ClientRequest, body: string | undefined, signal: AbortSignal | undefined): Promise<IncomingMessage> {
  const abort = (): void => {
    backend.destroy(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
  };
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  backend.once('close', () => signal?.removeEventListener('abort', abort));
  return new Promise((resolve, reject) => {
    backend.on('response', resolve);
    backend.on('error', (error) => reject(error instanceof ApiError ? error : serviceUnavailable(`error trying to reach service: ${error.message}`)));
    backend.end(body);
  });
}
