/**
 * One request and its response: who asks, whether they may, the call given on, and the answer written in the form asked for. Whatever goes wrong becomes
 * a `Status`.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import type { Kind } from '../../api/kind.ts';
import { ApiError, internalError, methodNotAllowed, notAcceptable } from '../../machinery/errors.ts';
import type { Timer } from '../../world/world.ts';
import type { Answer, Call, RequestVerb, User, WatchAnswer } from '../request.ts';
import { includeObjectOf } from '../table.ts';
import { bodyOf } from './body.ts';
import { compress, shouldCompress } from './compression.ts';
import { type HttpRequest, type HttpResponse, readBody } from './connection.ts';
import { encodeAnswer, encodeValue, type WholeAnswer } from './encode.ts';
import { type FrontOptions, identify } from './front-options.ts';
import { auditId, mediaTypeOf, warningHeader } from './headers.ts';
import type { RequestLabels } from './metrics.ts';
import { type Accepted, negotiate, prettyFor } from './negotiate.ts';
import { type HttpMethod, type ResourceRoute, routeOf, verbOf } from './route.ts';
import { streamWatch } from './watch-stream.ts';

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** A client that does not read what it asked for may not keep it in memory for long; smaller answers fit into the system's buffers. */
const slowReaderFromBytes = 256 * 1024;
const readingLimitMs = 60_000;

/** One request and its response. */
export class Exchange {
  private readonly options: FrontOptions;
  private readonly request: HttpRequest;
  private readonly response: HttpResponse;
  private readonly startedMs: number;
  private readonly path: string;
  private readonly queryText: string;
  private route: ResourceRoute | undefined;
  private verb: RequestVerb = 'get';
  private user: User = nobody;
  private readonly warnings: string[] = [];
  private readonly aborter = new AbortController();
  private code = 0;
  private isClosed = false;
  private readingLimit: Timer | undefined;

  constructor(options: FrontOptions, request: HttpRequest, response: HttpResponse) {
    this.options = options;
    this.request = request;
    this.response = response;
    this.startedMs = options.world.clock.now();
    const url = request.url ?? '/';
    const question = url.indexOf('?');
    this.path = question < 0 ? url : url.slice(0, question);
    this.queryText = question < 0 ? '' : url.slice(question + 1);
  }

  run(): void {
    const { request, options } = this;
    const { method = '' } = request;
    if (!methods.has(method)) throw new ApiError('MethodNotAllowed', `the server does not allow this method on the requested resource`, {});
    this.user = identify(options, request);
    const route = routeOf(this.path);
    if (route.type === 'path') {
      this.runPath(method);
      return;
    }
    this.route = route;
    this.verb = verbOf(method as HttpMethod, route, this.queryText);
    options.dispatcher.authorize(this.user, this.verb, route.target, this.queryText);
    options.dispatcher.checkTarget(route.target);
    if (options.streams.serves(route)) {
      options.streams.handle(route, request, this.response, this.query()).catch((error: unknown) => this.fail(error));
      return;
    }
    const accepted = this.accepted();
    if (method === 'GET' || method === 'HEAD') {
      this.dispatch(route, accepted, undefined);
      return;
    }
    readBody(request).then(
      (body) => {
        try {
          this.dispatch(route, accepted, body.length > 0 ? body : undefined);
        } catch (error) {
          this.fail(error);
        }
      },
      (error: unknown) => this.fail(error),
    );
  }

  closed(): void {
    this.isClosed = true;
    this.readingLimit?.cancel();
    if (!this.response.writableEnded || this.verb === 'watch') this.aborter.abort();
    const { metrics, world } = this.options;
    metrics.inflight--;
    if (this.verb === 'watch' && this.code === 200) metrics.watchers--;
    metrics.observe(this.labels(), this.code, (world.clock.now() - this.startedMs) / 1000);
  }

  fail(error: unknown): void {
    const { log } = this.options.world;
    let failure: ApiError;
    if (error instanceof ApiError) {
      failure = error;
    } else {
      log.error('a request failed by a bug', {
        method: this.request.method,
        path: this.path,
        error: error instanceof Error ? error.stack : String(error),
      });
      failure = internalError(error instanceof Error ? error.message : String(error));
    }
    if (this.response.headersSent || this.isClosed) {
      this.response.destroy();
      return;
    }
    const retryAfter = failure.details?.retryAfterSeconds;
    this.write(
      failure.code,
      errorBytes(failure, this.request, this.queryText),
      'application/json',
      retryAfter === undefined ? undefined : { 'retry-after': String(retryAfter) },
    );
  }

  private runPath(method: string): void {
    const { dispatcher, paths } = this.options;
    dispatcher.authorizePath(this.user, method === 'HEAD' ? 'get' : method.toLowerCase(), this.path);
    if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed({ group: '', resource: this.path }, method);
    const answer = paths.answer({ path: this.path, query: this.query(), headers: this.request.headers });
    this.write(answer.code, typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body, answer.contentType, answer.headers);
  }

  private accepted(): Accepted {
    return prettyFor(negotiate(this.request.headers.accept), this.queryText, this.request.headers['user-agent'] ?? '');
  }

  private query(): URLSearchParams {
    return new URLSearchParams(this.queryText);
  }

  private dispatch({ target }: ResourceRoute, accepted: Accepted, body: Uint8Array | undefined): void {
    const { request, verb, user, warnings } = this;
    const call: Call = {
      verb,
      target,
      user,
      query: this.query(),
      ...bodyOf(body, mediaTypeOf(request)),
      userAgent: request.headers['user-agent'] ?? '',
      signal: this.aborter.signal,
      warnings,
    };
    this.options.dispatcher.handle(call).then(
      (answer) => {
        try {
          this.send(call, answer, accepted);
        } catch (error) {
          this.fail(error);
        }
      },
      (error: unknown) => this.fail(error),
    );
  }

  private send(call: Call, answer: Answer, accepted: Accepted): void {
    if (this.isClosed) return;
    if (answer.type === 'watch') {
      this.sendWatch(call, answer, accepted);
      return;
    }
    const { query } = call;
    const bytes = encodeAnswer(answer, { accepted, kind: this.kindOf(call), query, nowMs: this.options.world.clock.now() });
    this.write(codeOf(answer), bytes, accepted.format === 'json' ? 'application/json' : 'application/yaml');
  }

  private sendWatch(call: Call, answer: WatchAnswer, accepted: Accepted): void {
    if (accepted.format !== 'json') throw notAcceptable(['application/json', 'application/json;stream=watch']);
    const { response, options } = this;
    const includeObject = includeObjectOf(call.query);
    options.metrics.watchers++;
    this.code = 200;
    response.writeHead(200, { 'content-type': 'application/json', ...this.commonHeaders() });
    response.flushHeaders?.();
    streamWatch(
      answer,
      { accepted, kind: this.kindOf(call), includeObject, now: () => options.world.clock.now() },
      { write: batchedWriter(response), pending: () => response.writableLength, end: () => response.end() },
    );
  }

  private kindOf({ target: { group, version, resource } }: Call): Kind | undefined {
    return this.options.dispatcher.verbs.kindAt(group, version, resource);
  }

  private write(code: number, bytes: Uint8Array, contentType: string, headers?: OutgoingHttpHeaders): void {
    const all: OutgoingHttpHeaders = { 'content-type': contentType, ...this.commonHeaders(), ...headers };
    this.code = code;
    if (shouldCompress(bytes, this.request)) {
      compress(bytes, (compressed) => {
        if (this.isClosed) return;
        if (compressed !== undefined) all['content-encoding'] = 'gzip';
        all['vary'] = 'Accept-Encoding';
        this.finish(code, compressed ?? bytes, all);
      });
      return;
    }
    this.finish(code, bytes, all);
  }

  private finish(code: number, bytes: Uint8Array, headers: OutgoingHttpHeaders): void {
    headers['content-length'] = bytes.length;
    this.response.writeHead(code, headers);
    if (this.request.method === 'HEAD') {
      this.response.end();
      return;
    }
    this.response.end(bytes);
    if (bytes.length > slowReaderFromBytes) this.readingLimit = this.options.world.clock.after(readingLimitMs, () => this.response.destroy());
  }

  private commonHeaders(): OutgoingHttpHeaders {
    const headers: OutgoingHttpHeaders = { 'audit-id': auditId(this.request, this.options.world), 'cache-control': 'no-cache, private' };
    const warning = warningHeader(this.warnings);
    if (warning !== undefined) headers['warning'] = warning;
    return headers;
  }

  /** Only names that exist become labels: what else a client may write into a path is its own business. */
  private labels(): RequestLabels {
    const { route } = this;
    const unknown = { group: '', version: '', resource: '', subresource: '', scope: '' };
    if (route === undefined) return { verb: this.request.method ?? '', ...unknown };
    const { group, version, resource, subresource = '', name, namespace } = route.target;
    const kind = this.options.dispatcher.verbs.kindAt(group, version, resource);
    if (kind === undefined || (subresource !== '' && kind.subresources[subresource] === undefined))
      return { verb: upperVerbs[this.verb], ...unknown };
    const scope = name !== undefined ? 'resource' : namespace !== undefined ? 'namespace' : 'cluster';
    return { verb: upperVerbs[this.verb], group, version, resource, subresource, scope };
  }
}

const nobody: User = { name: '', uid: '', groups: [], extra: {} };

const upperVerbs: Readonly<Record<RequestVerb, string>> = {
  get: 'GET',
  list: 'LIST',
  watch: 'WATCH',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
  connect: 'CONNECT',
};

function codeOf(answer: WholeAnswer): number {
  return answer.type === 'list' ? 200 : answer.code;
}

/** Errors are plain JSON, whatever was asked for, except YAML. */
function errorBytes(error: ApiError, request: HttpRequest, queryText: string): Uint8Array {
  const plain: Accepted = { format: 'json', as: 'object', metaVersion: 'v1', pretty: false };
  return encodeValue(error.toStatus(), prettyFor(plain, queryText, request.headers['user-agent'] ?? ''));
}

/** Events of one commit, or of one list of past ones, go out as one chunk. */
function batchedWriter(response: HttpResponse): (event: Uint8Array) => void {
  let corked = false;
  return (event) => {
    if (!corked) {
      corked = true;
      response.cork();
      process.nextTick(() => {
        corked = false;
        response.uncork();
      });
    }
    response.write(event);
  };
}
