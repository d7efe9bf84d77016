/**
 * Informers as in client-go: a reflector lists a kind and watches from there on, a cache holds what it learned, subscribers hear of each change. One
 * per kind and scope in a process. What was listed anew after a gap is compared with the cache, so subscribers see the gap as ordinary changes.
 */
import type { Kind } from '../api/kind.ts';
import { deepFreeze } from '../machinery/clone.ts';
import { isReason } from '../machinery/errors.ts';
import { keyOf, type KubeObject } from '../machinery/object.ts';
import type { Log, World } from '../world/world.ts';
import type { Client, ResourceClient } from './client.ts';
import { ConnectionError } from './connection-error.ts';
import type { Informer, InformerHandler, Informers, InformerScope } from './informer.ts';
import { ObjectCache } from './object-cache.ts';
import type { WatchEvent } from './transport.ts';

export interface InformersOptions {
  /** Freezes every object, so that a test finds who changes one. */
  readonly freeze?: boolean;
}

const firstPauseMs = 100;
const longestPauseMs = 30_000;
/** A server that is not there is asked more often: that costs nobody anything, and when it is back everyone waits for this. */
const longestReconnectMs = 2_000;
/** The server ends a watch after 5 to 10 minutes, so that connections spread over servers anew; upstream's reflector asks for the same. */
const watchSeconds = 300;
/** In the server's own process there is no connection to spread, and a watch need not end. */
const sharedWatchSeconds = 12 * 3600;
/** A watch that lasted this long was a good one: the next failure counts as the first. */
const goodWatchMs = 1_000;

export function createInformers(client: Client, world: World, options: InformersOptions = {}): Informers {
  const informers = new Map<string, { readonly synced: Promise<void> }>();
  const abort = new AbortController();
  return {
    of<T extends KubeObject>(kind: Kind<T>, scope: InformerScope = {}): Informer<T> {
      const { namespace = '', labelSelector = '', fieldSelector = '' } = scope;
      const id = JSON.stringify([kind.group, kind.version, kind.resource, namespace, labelSelector, fieldSelector]);
      // The id holds the kind, so what lies under it was made for T.
      const known = informers.get(id) as CachedInformer<T> | undefined;
      if (known) return known;
      const informer = new CachedInformer(kind, scope, client, world, options, abort.signal);
      informers.set(id, informer);
      return informer;
    },
    async synced() {
      await Promise.all([...informers.values()].map((informer) => informer.synced));
    },
    close: () => abort.abort(new Error('the informers were closed')),
  };
}

class CachedInformer<T extends KubeObject> implements Informer<T> {
  readonly kind: Kind<T>;
  readonly synced: Promise<void>;
  readonly #cache = new ObjectCache<T>();
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #resource: ResourceClient<T>;
  readonly #scope: InformerScope;
  readonly #world: World;
  readonly #log: Log;
  readonly #freeze: boolean;
  readonly #watchSeconds: number;
  readonly #signal: AbortSignal;
  #hasSynced = false;
  #resolveSynced: () => void = () => undefined;
  /** What the cache is the state of; empty before the first list and after the server forgot it. */
  #resourceVersion = '';

  constructor(kind: Kind<T>, scope: InformerScope, client: Client, world: World, options: InformersOptions, signal: AbortSignal) {
    this.kind = kind;
    this.#scope = scope;
    this.#world = world;
    this.#log = world.log.child('informer');
    this.#freeze = options.freeze ?? false;
    this.#watchSeconds = client.transport.shared ? sharedWatchSeconds : watchSeconds;
    this.#signal = signal;
    const resource = client.resource(kind);
    this.#resource = scope.namespace === undefined ? resource : resource.namespace(scope.namespace);
    this.synced = new Promise((resolve, reject) => {
      this.#resolveSynced = resolve;
      const onAbort = (): void => reject(asError(signal.reason));
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
    // Whoever waits hears of the close; whoever does not is not troubled by it.
    this.synced.catch(() => undefined);
    void this.#run();
  }

  hasSynced(): boolean {
    return this.#hasSynced;
  }

  get(name: string, namespace?: string): T | undefined {
    return this.#cache.get(namespace === undefined ? name : `${namespace}/${name}`);
  }

  list(namespace?: string): readonly T[] {
    return this.#cache.list(namespace);
  }

  addIndex(name: string, values: (object: T) => readonly string[]): void {
    this.#cache.addIndex(name, values);
  }

  byIndex(name: string, value: string): readonly T[] {
    return this.#cache.byIndex(name, value);
  }

  subscribe(handler: InformerHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#cache.list()) this.#guarded(() => handler.added?.(object));
    return () => this.#handlers.delete(handler);
  }

  // ---- the reflector

  /** Never rejects: every failure is followed by another try, until closed. */
  async #run(): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!this.#signal.aborted) {
      const startMs = this.#world.clock.now();
      let failure: unknown;
      try {
        if (this.#resourceVersion === '') await this.#list();
        await this.#watch();
      } catch (error) {
        failure = error;
      }
      if (this.#signal.aborted) return;
      if (isReason(failure, 'Expired', 'Gone')) {
        this.#resourceVersion = '';
        if (pauseMs === firstPauseMs) {
          pauseMs *= 2;
          continue;
        }
      }
      const lastedMs = this.#world.clock.now() - startMs;
      if (lastedMs >= goodWatchMs) pauseMs = firstPauseMs;
      // A watch that ended in the regular way after a while is simply taken up again.
      if (failure === undefined && lastedMs >= goodWatchMs) continue;
      if (failure !== undefined)
        this.#log.debug('watch failed, trying again', { resource: this.kind.resource, pauseMs, error: asError(failure).message });
      try {
        await this.#world.clock.sleep(pauseMs * (0.5 + this.#world.random.next()), this.#signal);
      } catch {
        return;
      }
      pauseMs = Math.min(pauseMs * 2, failure instanceof ConnectionError ? longestReconnectMs : longestPauseMs);
    }
  }

  async #list(): Promise<void> {
    // The first list may come from the server's cache as it is; one after a gap must not be older than what was seen.
    const resourceVersion = this.#hasSynced ? {} : { resourceVersion: '0' };
    const list = await this.#resource.list({ ...this.#selectors(), ...resourceVersion, signal: this.#signal });
    if (this.#signal.aborted) return;
    const gone = new Set(this.#cache.keys());
    for (const object of list.items) {
      gone.delete(keyOf(object));
      this.#set(object);
    }
    for (const key of gone) this.#delete(key, undefined);
    this.#resourceVersion = list.metadata.resourceVersion;
    this.#hasSynced = true;
    this.#resolveSynced();
  }

  async #watch(): Promise<void> {
    const events = this.#resource.watch({
      ...this.#selectors(),
      resourceVersion: this.#resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: this.#watchSeconds + this.#world.random.int(this.#watchSeconds),
      signal: this.#signal,
    });
    for await (const event of events) {
      if (this.#signal.aborted) return;
      this.#apply(event);
      this.#resourceVersion = event.object.metadata.resourceVersion;
    }
  }

  #selectors(): InformerScope {
    const { labelSelector, fieldSelector } = this.#scope;
    return { ...(labelSelector !== undefined && { labelSelector }), ...(fieldSelector !== undefined && { fieldSelector }) };
  }

  // ---- the cache and its subscribers

  #apply(event: WatchEvent<T>): void {
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#set(event.object);
        return;
      case 'DELETED':
        this.#delete(keyOf(event.object), event.object);
        return;
      case 'BOOKMARK':
    }
  }

  #set(object: T): void {
    const known = this.#cache.get(keyOf(object));
    if (known && known.metadata.resourceVersion === object.metadata.resourceVersion && known.metadata.uid === object.metadata.uid) return;
    if (this.#freeze) deepFreeze(object);
    const old = this.#cache.set(object);
    if (old === undefined) {
      this.#announce((handler) => handler.added?.(object));
    } else if (old.metadata.uid !== object.metadata.uid) {
      // Deleted and made anew while nobody watched: two objects, not one that changed.
      this.#announce((handler) => handler.deleted?.(old));
      this.#announce((handler) => handler.added?.(object));
    } else {
      this.#announce((handler) => handler.updated?.(object, old));
    }
  }

  #delete(key: string, last: T | undefined): void {
    const old = this.#cache.delete(key);
    if (old === undefined) return;
    const object = last ?? old;
    if (this.#freeze) deepFreeze(object);
    this.#announce((handler) => handler.deleted?.(object));
  }

  #announce(tell: (handler: InformerHandler<T>) => void): void {
    for (const handler of this.#handlers) this.#guarded(() => tell(handler));
  }

  /** A handler that throws is a bug of its owner; the others still hear, and the cache goes on. */
  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#log.error('an informer handler threw', { resource: this.kind.resource, error: asError(error).stack ?? asError(error).message });
    }
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
