/**
 * One request and its response: who asks, whether they may, the call given on, and the answer written in the form asked for. Whatever goes wrong becomes
 * a `Status`.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import type { Kind } from '../../api/kind.ts';
import { ApiError, internalError, notAcceptable } from '../../machinery/errors.ts';
import type { Timer } from '../../world/world.ts';
import type { AuditedRequest, AuditRecord } from '../audit/audit.ts';
import type { Attributes } from '../authorization/authorizer.ts';
import type { Assignment } from '../flow-control/flow-control.ts';
import { attributesOf, attributesOfPath } from '../dispatch.ts';
import { isLater, type NowOrLater } from '../now-or-later.ts';
import type { Answer, Call, RequestVerb, User, WatchAnswer } from '../request.ts';
import { includeObjectOf } from '../table.ts';
import { bodyOf } from './body.ts';
import { compress, shouldCompress } from './compression.ts';
import { type HttpRequest, type HttpResponse, readBody } from './connection.ts';
import { encodeAnswer, encodeValue, type WholeAnswer, wholeList } from './encode.ts';
import { actingAs, type FrontOptions, identify } from './front-options.ts';
import { auditId, mediaTypeOf, sourceIps, warningHeader } from './headers.ts';
import type { RequestLabels } from './metrics.ts';
import { largeBodyFromBytes, sendLargeBody } from './large-body.ts';
import { type Accepted, negotiate, prettyFor } from './negotiate.ts';
import { type HttpMethod, type ResourceRoute, routeOf, verbOf } from './route.ts';
import { streamWatch } from './watch-stream.ts';

const methodMessage = 'the server does not allow this method on the requested resource';
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** A client that does not read what it asked for may not keep it in memory for long; smaller answers fit into the system's buffers. */
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
  private record: AuditRecord | undefined;
  private id: string | undefined;
  private assignment: Assignment | undefined;
  private isSeated = false;
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
    if (!methods.has(method)) throw new ApiError('MethodNotAllowed', methodMessage, {});
    this.whenThere(identify(options, request, this.path), (user) => this.identified(method as HttpMethod, user));
  }

  private identified(method: HttpMethod, user: User): void {
    const { request, options, queryText } = this;
    this.user = user;
    const route = routeOf(this.path);
    if (route.type === 'resource') {
      this.route = route;
      this.verb = verbOf(method, route, queryText);
    }
    const attributes = (who: User): Attributes =>
      route.type === 'path' ? attributesOfPath(who, pathVerb(method), this.path) : attributesOf(who, this.verb, route.target, queryText);
    this.record = options.audit?.begin(this.audited(user, method));
    this.whenThere(actingAs(options, request, user, attributes), (acting) => {
      this.user = acting;
      if (acting !== user) this.record?.actsAs(acting);
      const asked = attributes(acting);
      this.whenThere(this.takeSeat(asked), () => {
        this.whenThere(options.dispatcher.check(asked), (decision) => {
          this.record?.decided(decision);
          if (route.type === 'path') this.runPath(method);
          else this.runResource(method, route);
        });
      });
    });
  }

  /** Waits its turn, unless it is one of those that run long and would keep a seat from others. */
  private takeSeat(asked: Attributes): NowOrLater<void> {
    const { flowControl } = this.options;
    if (flowControl === undefined || longRunning.has(asked.subresource)) return undefined;
    const assignment = flowControl.classify(asked.user, asked);
    if (assignment === undefined) return undefined;
    this.assignment = assignment;
    const entered = flowControl.enter(assignment, asked.user, asked);
    if (!isLater(entered)) {
      this.isSeated = true;
      return undefined;
    }
    return entered.then(() => {
      this.isSeated = true;
      // Whoever went away while waiting needs it no more.
      if (this.isClosed) this.leaveSeat();
    });
  }

  private leaveSeat(): void {
    if (!this.isSeated) return;
    this.isSeated = false;
    this.assignment?.level.leave();
  }

  private runResource(method: HttpMethod, route: ResourceRoute): void {
    const { request, options } = this;
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
    this.whenThere(readBody(request), (body) => this.dispatch(route, accepted, body.length > 0 ? body : undefined));
  }

  /** Goes on in this turn if the value is there, and later if not; what goes wrong later is answered. */
  private whenThere<T>(value: NowOrLater<T>, next: (value: T) => void): void {
    if (!isLater(value)) {
      next(value);
      return;
    }
    this.later(value, next).catch((error: unknown) => this.fail(error));
  }

  private async later<T>(value: Promise<T>, next: (value: T) => void): Promise<void> {
    const there = await value;
    if (!this.isClosed) next(there);
  }

  closed(): void {
    this.isClosed = true;
    this.readingLimit?.cancel();
    this.leaveSeat();
    this.auditEnd();
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
    this.record?.failed(failure);
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

  private runPath(method: HttpMethod): void {
    const { paths } = this.options;
    if (method !== 'GET' && method !== 'HEAD') throw new ApiError('MethodNotAllowed', methodMessage, {});
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
    const { request, verb, user, warnings, record } = this;
    record?.body(body);
    const call: Call = {
      verb,
      target,
      user,
      query: this.query(),
      ...bodyOf(body, mediaTypeOf(request)),
      userAgent: request.headers['user-agent'] ?? '',
      signal: this.aborter.signal,
      warnings,
      ...(record && { annotate: (key: string, value: string): void => record.annotate(key, value) }),
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
    if (this.record?.wantsResponse)
      this.record.answer(answer.type === 'list' ? wholeList(answer) : answer.type === 'object' ? answer.object : answer.body);
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
    this.leaveSeat();
    this.record?.started(200);
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
    this.leaveSeat();
    headers['content-length'] = bytes.length;
    this.response.writeHead(code, headers);
    if (this.request.method === 'HEAD') {
      this.response.end();
      return;
    }
    if (bytes.length < largeBodyFromBytes) {
      this.response.end(bytes);
      return;
    }
    this.readingLimit = this.options.world.clock.after(readingLimitMs, () => this.response.destroy());
    sendLargeBody(this.response, bytes);
  }

  private commonHeaders(): OutgoingHttpHeaders {
    const headers: OutgoingHttpHeaders = { 'audit-id': this.auditId(), 'cache-control': 'no-cache, private', ...this.assignment?.headers };
    const warning = warningHeader(this.warnings);
    if (warning !== undefined) headers['warning'] = warning;
    return headers;
  }

  private auditId(): string {
    this.id ??= auditId(this.request, this.options.world);
    return this.id;
  }

  private audited(user: User, method: HttpMethod): AuditedRequest {
    const { request, route } = this;
    return {
      id: this.auditId(),
      uri: request.url ?? '',
      verb: route === undefined ? pathVerb(method) : this.verb,
      user,
      target: route?.target,
      path: this.path,
      sourceIps: sourceIps(request),
      userAgent: request.headers['user-agent'] ?? '',
    };
  }

  private auditEnd(): void {
    const { audit } = this.options;
    if (audit === undefined) return;
    // Whoever could not prove who they are is written down without a name.
    if (this.record === undefined && this.code === 401) this.record = audit.begin(this.audited(nobody, 'GET'));
    this.record?.completed(this.code === 0 ? this.response.statusCode : this.code);
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

function pathVerb(method: HttpMethod): string {
  return method === 'HEAD' ? 'get' : method.toLowerCase();
}

/** Subresources that are streams or other servers' answers: they last as long as they last. */
const longRunning: ReadonlySet<string> = new Set(['attach', 'exec', 'log', 'portforward', 'proxy']);

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
