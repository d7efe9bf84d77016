/** For tests: verbs over a memory store on a virtual clock, called as a client would by method and path. Every object read is frozen. */
import assert from 'node:assert/strict';
import { ApiError } from '../../machinery/errors.ts';
import { memoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { type SimulatedWorld, simulatedWorld } from '../../world/simulated.ts';
import type { Authorizer } from '../authorization/authorizer.ts';
import { rbacAuthorizer } from '../authorization/rbac.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Answer, Call, EncodedWatchEvent, RequestVerb, User } from '../request.ts';
import type { Verbs } from '../verbs.ts';
import { createVerbs } from './create-verbs.ts';

/** A value as it came off the wire; tests look into it freely. */
export type Parsed = ReturnType<JSON['parse']>;

export interface Reply {
  readonly code: number;
  /** The body a client would read. */
  readonly body: AnyObject & {
    readonly items?: AnyObject[];
    readonly metadata: { readonly continue?: string; readonly remainingItemCount?: number };
  } & Record<string, Parsed>;
  readonly warnings: readonly string[];
}

export interface RequestOptions {
  readonly body?: object | string;
  readonly contentType?: string;
  readonly user?: User;
  readonly userAgent?: string;
}

export interface WatchLog {
  readonly events: { readonly type: string; readonly object: Record<string, Parsed> }[];
  /** `TYPE name` of each event so far. */
  lines(): string[];
  readonly ended: Promise<Error | undefined>;
  close(): void;
}

export interface FixtureOptions {
  readonly seed?: number;
  readonly nodePorts?: { readonly from: number; readonly to: number };
  readonly serviceCidr?: string;
  /** Without namespace `a`. */
  readonly empty?: boolean;
  /** Admission asks RBAC what a writer may do; the requests themselves are not authorized. */
  readonly rbac?: boolean;
}

export const admin: User = { name: 'admin', uid: '', groups: ['system:masters'], extra: {} };

export class Fixture {
  readonly world: SimulatedWorld;
  readonly store: Store;
  verbs: Verbs;
  readonly #options: FixtureOptions;

  private constructor(world: SimulatedWorld, store: Store, verbs: Verbs, options: FixtureOptions) {
    this.#options = options;
    this.world = world;
    this.store = store;
    this.verbs = verbs;
  }

  /** With namespace `a` and its default service account. */
  static async open(options: FixtureOptions = {}): Promise<Fixture> {
    const world = simulatedWorld(options.seed ?? 1, {
      onLog: (level, component, message, fields) => level === 'error' && assert.fail(`${component}: ${message} ${JSON.stringify(fields)}`),
    });
    const store = memoryStore({ clock: world.clock });
    const verbs = await openVerbs(world, store, options);
    const fixture = new Fixture(world, store, verbs, options);
    if (!options.empty) {
      await fixture.post('/api/v1/namespaces', { metadata: { name: 'a' } });
      await fixture.post('/api/v1/namespaces/a/serviceaccounts', { metadata: { name: 'default' } });
    }
    return fixture;
  }

  /** A second life over the same store, as after a crash. */
  async restart(): Promise<void> {
    await this.verbs.close();
    this.verbs = await openVerbs(this.world, this.store, this.#options);
  }

  async close(): Promise<void> {
    await this.verbs.close();
    await this.store.close();
    assert.equal(this.world.pendingTimers(), 0, 'timers left behind');
  }

  get(path: string): Promise<Reply> {
    return this.request('GET', path);
  }
  post(path: string, body: object | string, options: RequestOptions = {}): Promise<Reply> {
    return this.request('POST', path, { ...options, body });
  }
  put(path: string, body: object, options: RequestOptions = {}): Promise<Reply> {
    return this.request('PUT', path, { ...options, body });
  }
  /** A merge patch, unless the options name another type. */
  patch(path: string, body: object, options: RequestOptions = {}): Promise<Reply> {
    return this.request('PATCH', path, { contentType: 'application/merge-patch+json', ...options, body });
  }
  apply(path: string, manager: string, body: object): Promise<Reply> {
    const mark = path.includes('?') ? '&' : '?';
    return this.patch(`${path}${mark}fieldManager=${manager}`, body, { contentType: 'application/apply-patch+yaml' });
  }
  delete(path: string, body?: object): Promise<Reply> {
    return this.request('DELETE', path, body === undefined ? {} : { body });
  }

  /** Sends bytes, as HTTP would. Errors come back as their `Status`. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    const call = callOf(method, path, options, new AbortController().signal);
    try {
      return { ...replyOf(await this.verbs.handle(call)), warnings: call.warnings };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { code: error.code, body: JSON.parse(JSON.stringify(error.toStatus())), warnings: call.warnings };
    }
  }

  /** A watch, with `accepts` as its sink's answer. */
  async watch(path: string, accepts: () => boolean = () => true): Promise<WatchLog> {
    const abort = new AbortController();
    const url = new URL(path, 'http://server');
    url.searchParams.set('watch', 'true');
    const answer = await this.verbs.handle(callOf('GET', url.pathname + url.search, {}, abort.signal));
    assert(answer.type === 'watch');
    const events: WatchLog['events'] = [];
    const { promise: ended, resolve } = Promise.withResolvers<Error | undefined>();
    answer.start({
      send(event: EncodedWatchEvent) {
        const object = JSON.parse(Buffer.from(event.bytes).toString('utf8'));
        assert.deepEqual(object, JSON.parse(JSON.stringify(event.object)), 'bytes and object agree');
        events.push({ type: event.type, object });
        return accepts();
      },
      end: resolve,
    });
    return {
      events,
      lines: () => events.map(({ type, object }) => `${type} ${object['metadata'].name ?? ''}`.trim()),
      ended,
      close: () => abort.abort(),
    };
  }
}

async function openVerbs(world: SimulatedWorld, store: Store, options: FixtureOptions): Promise<Verbs> {
  const late: { authorizer?: Authorizer } = {};
  const verbs = await createVerbs({
    world,
    store,
    serviceCidr: options.serviceCidr ?? '10.96.0.0/16',
    nodePortRange: options.nodePorts ?? { from: 30000, to: 32767 },
    freeze: true,
    authorizer: () => late.authorizer,
  });
  if (options.rbac) late.authorizer = rbacAuthorizer(verbs.objects);
  return verbs;
}

function replyOf(answer: Answer): { code: number; body: Reply['body'] } {
  switch (answer.type) {
    case 'object': {
      assert(answer.bytes);
      const body = JSON.parse(Buffer.from(answer.bytes).toString('utf8'));
      assert.deepEqual(body, JSON.parse(JSON.stringify(answer.object)), 'bytes and object agree');
      return { code: answer.code, body };
    }
    case 'list': {
      const items = answer.items.map((item) => JSON.parse(Buffer.from(item.bytes).toString('utf8')));
      return { code: 200, body: JSON.parse(JSON.stringify({ kind: answer.kind, apiVersion: answer.apiVersion, metadata: answer.metadata, items })) };
    }
    case 'status':
      return { code: answer.code, body: JSON.parse(JSON.stringify(answer.body)) };
    case 'watch':
      assert.fail('a watch where none was asked for');
  }
}

const verbsByMethod: Readonly<Record<string, RequestVerb>> = { POST: 'create', PUT: 'update', PATCH: 'patch' };

function callOf(method: string, path: string, options: RequestOptions, signal: AbortSignal): Call {
  const url = new URL(path, 'http://server');
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const [group = '', version = ''] = parts[0] === 'api' ? ['', parts[1]] : [parts[1], parts[2]];
  let rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  let namespace: string | undefined;
  if (rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status' && rest[2] !== 'finalize') {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [resource = '', name, subresource] = rest;
  const text = typeof options.body === 'string' ? options.body : JSON.stringify(options.body);
  return {
    verb: verbOf(method, url.searchParams, name),
    target: { group, version, namespace, resource, name, subresource, rest: '' },
    user: options.user ?? admin,
    query: url.searchParams,
    body: text === undefined ? undefined : Buffer.from(text, 'utf8'),
    contentType: options.contentType ?? 'application/json',
    userAgent: options.userAgent ?? 'test/1.0',
    signal,
    warnings: [],
  };
}

function verbOf(method: string, query: URLSearchParams, name: string | undefined): RequestVerb {
  if (method === 'GET') return query.get('watch') === 'true' ? 'watch' : name === undefined ? 'list' : 'get';
  if (method === 'DELETE') return name === undefined ? 'deletecollection' : 'delete';
  return verbsByMethod[method] ?? assert.fail(`no verb for ${method}`);
}
