/**
 * Subresources that are other servers' streams: `pods/{log,exec,attach,portforward}` are the kubelet's, `proxy` is anybody's HTTP. The request has been
 * authorized; here it is passed on, and bytes flow.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiError, badRequest, internalError, methodNotAllowed, serviceUnavailable } from '../../machinery/errors.ts';
import type { HttpRequest, HttpResponse } from '../http/connection.ts';
import type { StreamingSubresources } from '../http/front-options.ts';
import type { ResourceRoute } from '../http/route.ts';
import type { ResourceTarget } from '../request.ts';
import { type Backends, requestBackend } from './backend.ts';
import { forwardedHeaders, returnedHeaders } from './headers.ts';
import { logPath, streamPath } from './kubelet-paths.ts';
import { hostOf, podOf } from './pod-target.ts';
import { tunnel } from './tunnel.ts';

const podStreams: ReadonlySet<string> = new Set(['attach', 'exec', 'log', 'portforward', 'proxy']);

/** The longest error text of a backend that is repeated to the client. */
const errorTextBound = 16 * 1024;

export class Streams implements StreamingSubresources {
  private readonly backends: Backends;

  constructor(backends: Backends) {
    this.backends = backends;
  }

  serves({ target: { group, resource, subresource } }: ResourceRoute): boolean {
    if (subresource === undefined || group !== '') return false;
    return resource === 'pods' ? podStreams.has(subresource) : subresource === 'proxy' && (resource === 'nodes' || resource === 'services');
  }

  async handle({ target }: ResourceRoute, request: HttpRequest, response: HttpResponse, query: URLSearchParams): Promise<void> {
    switch (target.subresource) {
      case 'log':
        return this.log(target, request, response, query);
      case 'proxy':
        return this.proxy(target, request, response);
      default:
        podOf(target, this.backends.objects);
        throw badRequest('Upgrade request required');
    }
  }

  /** An HTTP/1.1 request to change protocols. Rejects with an `ApiError` before anything was written. */
  async upgrade({ target }: ResourceRoute, request: IncomingMessage, socket: Duplex, head: Buffer, query: URLSearchParams): Promise<void> {
    const headers = forwardedHeaders(request, true);
    const method = request.method ?? 'GET';
    if (target.subresource === 'proxy') {
      tunnel(requestBackend(this.backends, target, { method, path: proxiedPath(target, request), headers }), socket, head);
      return;
    }
    const pod = podOf(target, this.backends.objects);
    if (target.subresource === 'log') {
      const path = logPath(pod, query);
      const hasRun = (pod.spec.nodeName ?? '') !== '';
      const ask = (): ClientRequest => this.backends.kubelets.request(hostOf(pod), { method: 'GET', path, headers: {} });
      const refused = async (answer: IncomingMessage): Promise<ApiError> => refusal(answer.statusCode ?? 502, await textOf(answer));
      const { sendLogOverWebSocket } = await import('./log-socket.ts');
      sendLogOverWebSocket({ request, socket, head, ask: hasRun ? ask : undefined, refusal: refused });
      return;
    }
    const path = streamPath(target.subresource, pod, query);
    tunnel(this.backends.kubelets.request(hostOf(pod), { method, path, headers }), socket, head);
  }

  private async log(target: ResourceTarget, request: HttpRequest, response: HttpResponse, query: URLSearchParams): Promise<void> {
    if (request.method !== 'GET') throw methodNotAllowed({ group: '', resource: 'pods/log' }, request.method ?? '');
    const pod = podOf(target, this.backends.objects);
    const path = logPath(pod, query);
    if ((pod.spec.nodeName ?? '') === '') {
      // Nothing ran yet, so nothing was written.
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.end();
      return;
    }
    const backend = this.backends.kubelets.request(hostOf(pod), { method: 'GET', path, headers: {} });
    const answer = await answerOf(backend, response);
    const code = answer.statusCode ?? 502;
    if (code !== 200) throw refusal(code, await textOf(answer));
    response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' });
    response.flushHeaders?.();
    pass(answer, response);
  }

  private async proxy(target: ResourceTarget, request: HttpRequest, response: HttpResponse): Promise<void> {
    if (target.rest === '' && (request.method === 'GET' || request.method === 'HEAD')) {
      const [path = '', query] = (request.url ?? '').split('?');
      response.writeHead(301, { location: `${path}/${query === undefined ? '' : `?${query}`}`, 'content-length': 0 });
      response.end();
      return;
    }
    const headers = forwardedHeaders(request, false);
    const backend = requestBackend(this.backends, target, { method: request.method ?? 'GET', path: proxiedPath(target, request), headers });
    const answering = answerOf(backend, response);
    passBody(request, backend);
    const answer = await answering;
    response.writeHead(answer.statusCode ?? 502, returnedHeaders(answer.rawHeaders));
    pass(answer, response);
  }
}

function proxiedPath({ rest }: ResourceTarget, request: { readonly url?: string | undefined }): string {
  const question = request.url?.indexOf('?') ?? -1;
  return `${rest === '' ? '/' : rest}${question < 0 ? '' : (request.url ?? '').slice(question)}`;
}

/** A request's body on to the backend, no faster than that takes it. */
export function passBody(request: HttpRequest, backend: ClientRequest): void {
  request.on('data', (chunk) => {
    if (!backend.write(chunk) && request.pause !== undefined) {
      request.pause();
      backend.once('drain', () => request.resume());
    }
  });
  request.on('end', () => backend.end());
}

/** The backend's answer; ends the backend's request when the client goes away. */
export function answerOf(backend: ClientRequest, response: HttpResponse): Promise<IncomingMessage> {
  response.on('close', () => {
    // A finished answer leaves the connection to the next request.
    if (!response.writableEnded) backend.destroy();
  });
  return new Promise((resolve, reject) => {
    backend.on('response', resolve);
    backend.on('error', (error) => reject(serviceUnavailable(`error trying to reach service: ${error.message}`)));
    if (backend.method === 'GET' && backend.getHeader('content-length') === undefined) backend.end();
  });
}

/** Bytes as they come, no faster than the client takes them. */
export function pass(answer: IncomingMessage, response: HttpResponse): void {
  answer.on('data', (chunk: Buffer) => {
    if (!response.write(chunk)) answer.pause();
  });
  response.on('drain', () => answer.resume());
  answer.on('end', () => response.end());
  answer.on('error', () => response.destroy());
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > errorTextBound) break;
  }
  return text.trim();
}

/** A kubelet's refusal, as the client sees it. */
function refusal(code: number, text: string): ApiError {
  if (code === 400) return badRequest(text);
  if (code === 500) return internalError(text);
  if (code === 404) return new ApiError('NotFound', `the server could not find the requested resource${text === '' ? '' : ` (${text})`}`, {});
  return new ApiError(code === 503 ? 'ServiceUnavailable' : 'InternalError', text === '' ? `the kubelet answered ${code}` : text, {}, code);
}
