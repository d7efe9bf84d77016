/**
 * A connection without a wire: components in the server's own process call it with their own identity, and are routed, authorized and admitted like
 * anybody else; only encoding is left out. Objects are shared with the cache: never to be changed.
 */
import type { Aggregator } from './aggregation/aggregator.ts';
import { askRemote, watchRemote } from './aggregation/remote-in-process.ts';
import type { Auditor, AuditRecord } from './audit/audit.ts';
import type { Decision } from './authorization/authorizer.ts';
import { ApiError, badRequest, internalError, methodNotAllowed } from '../machinery/errors.ts';
import type { InProcessConnection, InProcessRequest } from './api-server.ts';
import { type Dispatcher, needsHttp } from './dispatch.ts';
import { wholeList } from './http/encode.ts';
import type { Paths } from './http/paths.ts';
import { isLater } from './now-or-later.ts';
import { type ResourceRoute, routeOf, verbOf } from './http/route.ts';
import type { Answer, Call, EncodedWatchEvent, User, WatchAnswer, WatchSink } from './request.ts';

export interface InProcessOptions {
  readonly dispatcher: Dispatcher;
  readonly paths: Paths;
  readonly streams: { serves(route: ResourceRoute): boolean };
  readonly aggregator: Aggregator;
  readonly audit?: Auditor;
}

/** Watch events not taken yet, beyond the past ones the watch began with. */
const queueBound = 10_000;

type WatchEvents = ReturnType<InProcessConnection['watch']>;

export function inProcessConnection(options: InProcessOptions, user: User): InProcessConnection {
  const closing = new AbortController();
  return {
    shared: true,
    close: () => closing.abort(),
    request: (request) => answerRequest(options, user, request, closing.signal),
    watch: (request): WatchEvents => watchEvents(options, user, request, closing.signal),
  };
}

async function answerRequest(options: InProcessOptions, user: User, request: InProcessRequest, closing: AbortSignal): Promise<unknown> {
  request.signal?.throwIfAborted();
  closing.throwIfAborted();
  const route = routeOf(request.path);
  const record = begin(options, user, request, route);
  try {
    if (route.type === 'path') return await answerPath(options, user, request, record);
    const remote = options.aggregator.remoteFor(request.path);
    if (remote !== undefined) {
      record?.decided(await authorize(options, user, request, route));
      const answered = await askRemote(remote, user, request);
      record?.completed(200);
      return answered;
    }
    const call = await authorizedCall(options, user, request, route, request.signal ?? closing, record);
    record?.body(call.body);
    const answer: Answer = await options.dispatcher.handle(call);
    const value = valueOf(answer);
    record?.answer(value);
    record?.completed(answer.type === 'object' || answer.type === 'status' ? answer.code : 200);
    return value;
  } catch (error) {
    fail(record, error);
    throw error;
  }
}

function valueOf(answer: Answer): unknown {
  switch (answer.type) {
    case 'object':
      return answer.object;
    case 'list':
      return wholeList(answer);
    case 'status':
      return answer.body;
    case 'watch':
      throw badRequest('a watch is not a request');
  }
}

function begin({ audit }: InProcessOptions, user: User, request: InProcessRequest, route: ReturnType<typeof routeOf>): AuditRecord | undefined {
  if (audit === undefined) return undefined;
  const queryText = request.query === undefined ? '' : new URLSearchParams(request.query).toString();
  return audit.begin({
    id: audit.world.random.uid(),
    uri: queryText === '' ? request.path : `${request.path}?${queryText}`,
    verb: route.type === 'path' ? request.method.toLowerCase() : verbOf(request.method, route, queryText),
    user,
    target: route.type === 'path' ? undefined : route.target,
    path: request.path,
    sourceIps: ['127.0.0.1'],
    userAgent: userAgentOf(user),
  });
}

const agentsOfUsers: readonly (readonly [prefix: string, agent: string])[] = [
  ['system:serviceaccount:kube-system:', 'kube-controller-manager'],
  ['system:node:', 'kubelet'],
];

/** What the component would call itself over a wire: its program, by which managed fields know it, and who it acts as. */
function userAgentOf({ name }: User): string {
  const known = agentsOfUsers.find(([prefix]) => name.startsWith(prefix));
  return `${known?.[1] ?? name.replace(/^system:/, '')}/${name}`;
}

function fail(record: AuditRecord | undefined, error: unknown): void {
  if (record === undefined) return;
  const failure = error instanceof ApiError ? error : internalError(error instanceof Error ? error.message : String(error));
  record.failed(failure);
  record.completed(failure.code);
}

async function answerPath(
  { dispatcher, paths, aggregator }: InProcessOptions,
  user: User,
  request: InProcessRequest,
  record: AuditRecord | undefined,
): Promise<unknown> {
  record?.decided(await dispatcher.authorizePath(user, request.method.toLowerCase(), request.path));
  if (request.method !== 'GET') throw methodNotAllowed({ group: '', resource: request.path }, request.method);
  const remote = aggregator.remoteFor(request.path);
  if (remote !== undefined) {
    const answered = await askRemote(remote, user, request);
    record?.completed(200);
    return answered;
  }
  const { code, body, contentType } = paths.answer({ path: request.path, query: new URLSearchParams(request.query), headers: {} });
  record?.completed(code);
  const text = typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
  return contentType.startsWith('application/json') ? JSON.parse(text) : text;
}

async function authorize({ dispatcher }: InProcessOptions, user: User, request: InProcessRequest, route: ResourceRoute): Promise<Decision> {
  const queryText = request.query === undefined ? '' : new URLSearchParams(request.query).toString();
  return dispatcher.authorize(user, verbOf(request.method, route, queryText), route.target, queryText);
}

async function authorizedCall(
  options: InProcessOptions,
  user: User,
  request: InProcessRequest,
  route: ResourceRoute,
  signal: AbortSignal,
  record: AuditRecord | undefined,
): Promise<Call> {
  const { dispatcher } = options;
  const { target } = route;
  const query = new URLSearchParams(request.query);
  const queryText = request.query === undefined ? '' : query.toString();
  const verb = verbOf(request.method, route, queryText);
  const answer = dispatcher.authorize(user, verb, target, queryText);
  const decision = isLater(answer) ? await answer : answer;
  record?.decided(decision);
  dispatcher.checkTarget(target);
  if (options.streams.serves(route)) throw needsHttp(target.subresource ?? '');
  return {
    verb,
    target,
    user,
    query,
    body: request.body,
    contentType: request.contentType ?? 'application/json',
    userAgent: userAgentOf(user),
    signal,
    warnings: [],
    ...(record && { annotate: (key: string, value: string): void => record.annotate(key, value) }),
  };
}

/** One for all: to make an error takes longer than to end a watch. */
const watchOver = new Error('the watch is over');

async function* watchEvents(options: InProcessOptions, user: User, request: InProcessRequest, closing: AbortSignal): WatchEvents {
  const route = routeOf(request.path);
  if (route.type === 'path') throw badRequest(`${request.path} cannot be watched`);
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, closing, ...(request.signal ? [request.signal] : [])]);
  const queue = new EventQueue();
  let record: AuditRecord | undefined;
  let failure: unknown;
  signal.addEventListener('abort', () => queue.end(undefined), { once: true });
  try {
    if (signal.aborted) return;
    const watching = { ...request, query: { ...request.query, watch: 'true' } };
    const remote = options.aggregator.remoteFor(request.path);
    if (remote !== undefined) {
      await authorize(options, user, watching, route);
      yield* watchRemote(remote, user, { ...watching, signal });
      return;
    }
    record = begin(options, user, watching, route);
    const call = await authorizedCall(options, user, watching, route, signal, record);
    const answer = await options.dispatcher.handle(call);
    if (answer.type !== 'watch') throw badRequest(`${request.path} cannot be watched`);
    record?.started(200);
    queue.startWith(answer);
    for (;;) {
      const event = queue.shift();
      // The transport's reader knows the kind; here it is any.
      if (event !== undefined) yield { type: event.type, object: event.object as never };
      else if (queue.ended) break;
      else await queue.changed();
    }
    if (queue.error !== undefined) throw queue.error;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    if (failure === undefined) record?.completed(200);
    else fail(record, failure);
    stop.abort(watchOver);
  }
}

class EventQueue implements WatchSink {
  ended = false;
  error: Error | undefined;
  private events: EncodedWatchEvent[] = [];
  private taken = 0;
  private bound = Infinity;
  private wake: (() => void) | undefined;

  startWith(answer: WatchAnswer): void {
    answer.start(this);
    this.bound = this.events.length + queueBound;
  }

  send(event: EncodedWatchEvent): boolean {
    if (this.ended) return false;
    this.events.push(event);
    this.notify();
    return this.events.length - this.taken < this.bound;
  }

  end(error: Error | undefined): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    this.notify();
  }

  shift(): EncodedWatchEvent | undefined {
    const event = this.events[this.taken];
    if (event === undefined) return undefined;
    this.taken++;
    if (this.taken === this.events.length) {
      this.events = [];
      this.taken = 0;
    }
    return event;
  }

  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private notify(): void {
    this.wake?.();
    this.wake = undefined;
  }
}
