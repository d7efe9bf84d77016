/**
 * One request and its response: who asks, whether they may, the call given on, and the answer written in the form asked for. Whatever goes wrong becomes
 * a `Status`.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import type { Kind } from '../../api/kind.ts';
import { parseDuration } from '../../machinery/duration.ts';
import { ApiError, badRequest, internalError, timeout } from '../../machinery/errors.ts';
import type { Timer } from '../../world/world.ts';
import type { RemoteApi } from '../aggregation/remote-api.ts';
import type { AuditedRequest, AuditRecord } from '../audit/audit.ts';
import type { Attributes } from '../authorization/authorizer.ts';
import type { Assignment } from '../flow-control/flow-control.ts';
import { attributesOf, attributesOfPath } from '../dispatch.ts';
import { isLater, type NowOrLater } from '../now-or-later.ts';
import { servesProtobuf } from '../protobuf/answers.ts';
import type { Answer, Call, Remarks, RequestVerb, ResourceTarget, User, WatchAnswer } from '../request.ts';
import { includeObjectOf } from '../table.ts';
import { bodyOf } from './body.ts';
import { compress, shouldCompress } from './compression.ts';
import { type HttpRequest, type HttpResponse, readBody } from './connection.ts';
import { encodeAnswer, encodeValue, type WholeAnswer, wholeList } from './encode.ts';
import { actingAs, type FrontOptions, identify } from './front-options.ts';
import { auditId, mediaTypeOf, sourceIps, warningHeader } from './headers.ts';
import type { InflightKind, RequestLabels, WatchCounter } from './metrics.ts';
import { largeBodyFromBytes, sendLargeBody } from './large-body.ts';
import { Unjoined } from './list-bytes.ts';
import { type Accepted, contentTypeOf, negotiate, prettyFor } from './negotiate.ts';
import { type HttpMethod, type ResourceRoute, routeOf, verbOf } from './route.ts';
import type { WatchOutbox } from './watch-outbox.ts';
import { streamWatch } from './watch-stream.ts';

const methodMessage = 'the server does not allow this method on the requested resource';
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** A client that does not read what it asked for may not keep it in memory for long; smaller answers fit into the system's buffers. */
const readingLimitMs = 60_000;

/** As upstream: how long a request may take that is not meant to run long. */
const requestLimitMs = 60_000;

/** One request and its response. */
export class Exchange {
  private readonly options: FrontOptions;
  private readonly request: HttpRequest;
  private readonly response: HttpResponse;
  private readonly outbox: WatchOutbox;
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
  private seats = 1;
  private readingLimit: Timer | undefined;
  private inflight: InflightKind | undefined;
  private watched: WatchCounter | undefined;
  private sentBytes = -1;
  private limitMs = requestLimitMs;

  constructor(options: FrontOptions, outbox: WatchOutbox, request: HttpRequest, response: HttpResponse) {
    this.options = options;
    this.request = request;
    this.response = response;
    this.outbox = outbox;
    this.startedMs = options.world.clock.now();
    const url = request.url ?? '/';
    const question = url.indexOf('?');
    this.path = question < 0 ? url : url.slice(0, question);
    this.queryText = question < 0 ? '' : url.slice(question + 1);
    this.inflight = request.method === 'GET' || request.method === 'HEAD' ? 'readOnly' : 'mutating';
    options.metrics.inflight[this.inflight]++;
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
    if (user.remarks) this.remark(user.remarks);
    this.whenThere(actingAs(options, request, user, attributes), (acting) => {
      this.user = acting;
      if (acting !== user) this.record?.actsAs(acting);
      const asked = attributes(acting);
      this.whenThere(this.takeSeat(asked), () => {
        this.whenThere(options.dispatcher.check(asked), (decision) => {
          this.record?.decided(decision);
          const remote = options.aggregator.remoteFor(this.path);
          if (remote !== undefined) this.runRemote(remote);
          else if (route.type === 'path') this.runPath(method);
          else this.runResource(method, route);
        });
      });
    });
  }

  private remark({ warning, annotations }: Remarks): void {
    if (warning !== undefined) this.warnings.push(warning);
    for (const [key, value] of Object.entries(annotations)) this.record?.annotate(key, value);
  }

  /** Waits its turn, unless it is one of those that run long and would keep a seat from others. */
  private takeSeat(asked: Attributes): NowOrLater<void> {
    const { flowControl } = this.options;
    if (flowControl === undefined || longRunning.has(asked.subresource)) return undefined;
    const assignment = flowControl.classify(asked.user, asked);
    if (assignment === undefined) return undefined;
    this.assignment = assignment;
    this.seats = flowControl.widthOf(asked, this.queryText);
    const entered = flowControl.enter(assignment, asked.user, asked, this.seats);
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
    this.assignment?.level.leave(this.seats);
  }

  private runResource(method: HttpMethod, route: ResourceRoute): void {
    const { request, options } = this;
    options.dispatcher.checkTarget(route.target);
    if (options.streams.serves(route)) {
      this.leaveInflight();
      this.stream(route).catch((error: unknown) => this.fail(error));
      return;
    }
    if (this.queryText.includes('timeout=')) this.limitMs = this.askedLimit();
    const accepted = this.accepted(route);
    if (method === 'GET' || method === 'HEAD') {
      this.dispatch(route, accepted, undefined);
      return;
    }
    this.whenThere(readBody(request), (body) => this.dispatch(route, accepted, body.length > 0 ? body : undefined));
  }

  private async stream(route: ResourceRoute): Promise<void> {
    const { options, request } = this;
    const { target } = route;
    if (target.subresource !== 'log') {
      const annotate = this.record && ((key: string, value: string): void => this.record?.annotate(key, value));
      await options.dispatcher.verbs.admitConnection({ target, user: this.user, query: this.query(), annotate });
      if (this.isClosed) return;
    }
    await options.streams.handle(route, request, this.response, this.query());
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
    this.leaveInflight();
    if (this.watched !== undefined) this.watched.open--;
    metrics.observe(this.labels(), this.code, (world.clock.now() - this.startedMs) / 1000, this.sentBytes);
  }

  /** Answers that it took too long, unless it is answered or meant to run long. */
  endIfLate(nowMs: number): void {
    if (this.inflight === undefined || this.response.headersSent || nowMs - this.startedMs < this.limitMs) return;
    this.fail(timeout('Timeout: request did not complete within the allotted timeout'));
    this.aborter.abort();
  }

  /** No longer counted among those that are soon done. */
  private leaveInflight(): void {
    if (this.inflight === undefined) return;
    this.options.metrics.inflight[this.inflight]--;
    this.inflight = undefined;
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
    const accepted = acceptedForErrors(this.request, this.queryText);
    this.write(
      failure.code,
      encodeValue(failure.toStatus(), accepted),
      contentTypeOf(accepted.format),
      retryAfter === undefined ? undefined : { 'retry-after': String(retryAfter) },
    );
  }

  /** Another server's answer, which lasts as long as it lasts. */
  private runRemote(remote: RemoteApi): void {
    this.leaveSeat();
    remote.handle(this.request, this.response, this.user).then(
      () => {
        this.code = this.response.statusCode;
      },
      (error: unknown) => this.fail(error),
    );
  }

  private runPath(method: HttpMethod): void {
    const { paths } = this.options;
    if (method !== 'GET' && method !== 'HEAD') throw new ApiError('MethodNotAllowed', methodMessage, {});
    const answer = paths.answer({ path: this.path, query: this.query(), headers: this.request.headers });
    this.write(answer.code, typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body, answer.contentType, answer.headers);
  }

  private accepted({ target }: ResourceRoute): Accepted {
    const { headers } = this.request;
    const accepted = negotiate(headers.accept, { protobuf: this.writesProtobuf(target), stream: this.verb === 'watch' });
    return prettyFor(accepted, this.queryText, headers['user-agent'] ?? '');
  }

  /** What answers with another kind than the path's, such as a scale, has the path's kind's forms. */
  private writesProtobuf({ group, version, resource }: ResourceTarget): boolean {
    const kind = this.options.dispatcher.verbs.kindAt(group, version, resource);
    return kind !== undefined && servesProtobuf(kind);
  }

  /** A client may want to wait less long than the server would let it. */
  private askedLimit(): number {
    const asked = this.query().get('timeout') ?? '';
    if (asked === '' || asked === '0') return requestLimitMs;
    let askedMs: number;
    try {
      askedMs = parseDuration(asked);
    } catch (error) {
      throw badRequest(`invalid timeout specified in the request URL - ${error instanceof Error ? error.message : String(error)}`);
    }
    return askedMs > 0 ? Math.min(askedMs, requestLimitMs) : requestLimitMs;
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
    if (this.isClosed || this.response.headersSent) return;
    if (answer.type === 'watch') {
      this.sendWatch(call, answer, accepted);
      return;
    }
    if (this.record?.wantsResponse)
      this.record.answer(answer.type === 'list' ? wholeList(answer) : answer.type === 'object' ? answer.object : answer.body);
    const { query } = call;
    const bytes = encodeAnswer(answer, { accepted, kind: this.kindOf(call), query, nowMs: this.options.world.clock.now() });
    this.write(codeOf(answer), bytes, contentTypeOf(accepted.format));
  }

  private sendWatch(call: Call, answer: WatchAnswer, accepted: Accepted): void {
    const contentType = accepted.format === 'json' ? 'application/json' : `${contentTypeOf(accepted.format)};stream=watch`;
    const { response, options } = this;
    const includeObject = includeObjectOf(call.query);
    const kind = this.kindOf(call);
    if (kind !== undefined) {
      this.watched = options.metrics.watchCounter(kind);
      this.watched.open++;
    }
    this.leaveInflight();
    this.code = 200;
    response.writeHead(200, { 'content-type': contentType, ...this.commonHeaders() });
    response.flushHeaders?.();
    this.leaveSeat();
    this.record?.started(200);
    streamWatch(answer, { accepted, kind, includeObject, now: () => options.world.clock.now() }, this.outbox.writerTo(response, this.watched?.sizes));
  }

  private kindOf({ target: { group, version, resource } }: Call): Kind | undefined {
    return this.options.dispatcher.verbs.kindAt(group, version, resource);
  }

  private write(code: number, body: Uint8Array | Unjoined, contentType: string, headers?: OutgoingHttpHeaders): void {
    const all: OutgoingHttpHeaders = { 'content-type': contentType, ...this.commonHeaders(), ...headers };
    this.code = code;
    if (shouldCompress(body.length, this.request)) {
      const bytes = body instanceof Unjoined ? body.joined() : body;
      compress(bytes, (compressed) => {
        if (this.isClosed) return;
        if (compressed !== undefined) all['content-encoding'] = 'gzip';
        all['vary'] = 'Accept-Encoding';
        this.finish(code, compressed ?? bytes, all);
      });
      return;
    }
    this.finish(code, body, all);
  }

  private finish(code: number, body: Uint8Array | Unjoined, headers: OutgoingHttpHeaders): void {
    this.leaveSeat();
    headers['content-length'] = body.length;
    this.sentBytes = body.length;
    this.response.writeHead(code, headers);
    if (this.request.method === 'HEAD') {
      this.response.end();
      return;
    }
    if (body.length < largeBodyFromBytes) {
      this.response.end(body instanceof Unjoined ? body.joined() : body);
      return;
    }
    this.readingLimit = this.options.world.clock.after(readingLimitMs, () => this.response.destroy());
    sendLargeBody(this.response, body);
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
    const { route, verb, queryText } = this;
    if (route === undefined) return { verb: this.request.method ?? '', kind: undefined, subresource: '', scope: '', dryRun: false };
    const { group, version, resource, subresource = '', name, namespace } = route.target;
    const kind = this.options.dispatcher.verbs.kindAt(group, version, resource);
    const shownVerb = verb === 'patch' && mediaTypeOf(this.request) === 'application/apply-patch+yaml' ? 'APPLY' : upperVerbs[verb];
    const dryRun = queryText.includes('dryRun=All');
    if (kind === undefined || (subresource !== '' && kind.subresources[subresource] === undefined))
      return { verb: shownVerb, kind: undefined, subresource: '', scope: '', dryRun };
    const scope = name !== undefined ? 'resource' : namespace !== undefined ? 'namespace' : 'cluster';
    return { verb: shownVerb, kind, subresource, scope, dryRun };
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

const anyForm = { protobuf: true, stream: false } as const;
const plainJson: Accepted = { format: 'json', as: 'object', metaVersion: 'v1', pretty: false };

/** An error is itself, in the format asked for; plain JSON for whoever takes none that there is. */
function acceptedForErrors({ headers }: HttpRequest, queryText: string): Accepted {
  let accepted = plainJson;
  try {
    accepted = { ...negotiate(headers.accept, anyForm), as: 'object' };
  } catch {
    // That is another error than the one to tell.
  }
  return prettyFor(accepted, queryText, headers['user-agent'] ?? '');
}
