/**
 * The watch caches of all kinds, fed by one watch of the store, and the kinds that are served from them. The one place where the API server
 * reads objects from.
 */
import type { Kind } from '../../api/kind.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { ApiError } from '../../machinery/errors.ts';
import type { KeyValue, Store, StoreEvent } from '../../store/store.ts';
import type { Timer, World } from '../../world/world.ts';
import type { ObjectReader } from '../verbs.ts';
import type { Encoded } from '../request.ts';
import { bookmarkEvent } from './bookmark.ts';
import { type Entry, Slabs } from './encoding.ts';
import { ConvertedCache } from './converted-cache.ts';
import { convertedServedKind, customServedKind, type CustomServing, type ServedKind, servedKind } from './served-kind.ts';
import { kindPrefix, objectPath, prefixOfKey, registryPrefix } from './storage-key.ts';
import { WatchCache } from './watch-cache.ts';

/** How long a read that names a revision not yet seen waits for it, as upstream. */
const freshnessTimeoutMs = 3_000;
const bookmarkPeriodMs = 60_000;

export interface RegistryOptions {
  readonly world: World;
  readonly store: Store;
  readonly kinds: readonly Kind[];
  /** Freezes every object, so that a test finds whoever changes a shared one. */
  readonly freeze: boolean;
  /** Whether the store's values stay as it gave them: caches then share them. */
  readonly sharesValues?: boolean;
}

type KindName = Pick<Kind, 'group' | 'version' | 'resource'>;

interface Waiter {
  readonly revision: number;
  readonly wake: () => void;
}

export class Registry implements ObjectReader {
  readonly store: Store;
  readonly #world: World;
  readonly #caches = new Map<string, WatchCache>();
  readonly #served = new Map<string, ServedKind>();
  readonly #builtIn: readonly Kind[];
  #kinds: readonly Kind[];
  #kindsGeneration = 1;
  /** Kinds served in several versions, as of a generation. */
  #versioned: { readonly generation: number; readonly kinds: ReadonlySet<ServedKind> } = { generation: 0, kinds: new Set() };
  readonly #custom = new Map<string, readonly Kind[]>();
  readonly #converted = new Set<ConvertedCache>();
  readonly #freeze: boolean;
  readonly #sharesValues: boolean;
  readonly #virtual = new Map<string, Kind>();
  readonly #stop = new AbortController();
  readonly #handedOver = new WeakMap<Uint8Array, KubeObject>();
  readonly #waiters = new Set<Waiter>();
  readonly #lists = new WeakMap<readonly Encoded[], readonly KubeObject[]>();
  #revision = 0;
  /** What lay in the store under prefixes no built-in kind has, until whoever serves definitions says what it is. */
  #unclaimed = new Map<string, readonly KeyValue[]>();
  #bookmarkTimer: Timer | undefined;

  private constructor(options: RegistryOptions) {
    this.store = options.store;
    this.#world = options.world;
    this.#builtIn = options.kinds;
    this.#kinds = options.kinds;
    this.#freeze = options.freeze;
    this.#sharesValues = options.sharesValues ?? false;
    for (const kind of options.kinds) {
      if (kind.virtual) this.#virtual.set(placeOf(kind), kind);
      else this.#served.set(placeOf(kind), servedKind(kind, this.#cacheOf(kind.storedAs?.kind() ?? kind)));
    }
  }

  static async open(options: RegistryOptions): Promise<Registry> {
    const registry = new Registry(options);
    await registry.#load();
    return registry;
  }

  #cacheOf(stored: Kind): WatchCache {
    const prefix = kindPrefix(stored);
    let cache = this.#caches.get(prefix);
    if (!cache) {
      cache = new WatchCache(stored, { freeze: this.#freeze, sharesValues: this.#sharesValues });
      this.#caches.set(prefix, cache);
    }
    return cache;
  }

  async #load(): Promise<void> {
    const slabs = new Slabs();
    const unclaimed = new Map<string, KeyValue[]>();
    const revision = await this.store.each(registryPrefix, (item) => {
      const prefix = prefixOfKey(item.key);
      if (prefix === undefined) return;
      const cache = this.#caches.get(prefix);
      if (cache) {
        cache.loadOne(item, slabs);
        return;
      }
      const kept = { ...item, value: item.value.slice() };
      if (unclaimed.get(prefix)?.push(kept) === undefined) unclaimed.set(prefix, [kept]);
    });
    for (const cache of this.#caches.values()) cache.load([], revision);
    this.#unclaimed = unclaimed;
    this.#revision = revision;
    await this.store.watch(registryPrefix, revision, (event) => this.#apply(event), this.#stop.signal);
  }

  #apply(event: StoreEvent): void {
    // The revision first: a watcher told of the event may ask for it.
    this.#revision = event.revision;
    for (const change of event.changes) {
      const prefix = prefixOfKey(change.key);
      const cache = prefix === undefined ? undefined : this.#caches.get(prefix);
      if (!cache) continue;
      try {
        cache.apply(event.revision, change, change.type === 'put' ? this.#taken(change.value) : undefined);
      } catch (error) {
        // A bug, or a value nobody can read. The store would stop telling us anything: one object amiss must not stop the rest.
        const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
        this.#world.log.error('the watch cache could not take a change', { key: change.key, revision: event.revision, error: stack });
      }
    }
    for (const waiter of this.#waiters) if (waiter.revision <= event.revision) waiter.wake();
  }

  // ---- kinds

  kinds(): readonly Kind[] {
    return this.#kinds;
  }

  /** Counts changes of {@link kinds}. */
  kindsGeneration(): number {
    return this.#kindsGeneration;
  }

  /**
   * Serves the versions of a custom resource from now on in place of those served before; with none, takes them away. Watches of what was served end: who
   * wants to see more asks again. A place where a built-in kind is served stays that kind's.
   */
  serveCustom(definition: string, servings: readonly CustomServing[]): void {
    for (const kind of this.#custom.get(definition) ?? []) {
      const served = this.#served.get(placeOf(kind));
      this.#served.delete(placeOf(kind));
      if (served?.converted) this.#converted.delete(served.converted);
      served?.converted?.close();
      for (const watcher of served?.cache.watchers() ?? []) watcher.end(undefined);
    }
    const kinds: Kind[] = [];
    for (const serving of servings) {
      const place = placeOf(serving.kind);
      if (this.#served.has(place) || this.#virtual.has(place)) continue;
      this.#served.set(place, this.#customServed(serving));
      kinds.push(serving.kind);
    }
    if (kinds.length === 0) this.#custom.delete(definition);
    else this.#custom.set(definition, kinds);
    this.#kinds = [...this.#builtIn, ...[...this.#custom.values()].flat()];
    this.#kindsGeneration++;
  }

  #customServed(serving: CustomServing): ServedKind {
    const base = this.customCache(serving.stored);
    const { kind, conversion } = serving;
    if (conversion === undefined) return customServedKind(serving, base);
    const converted = new ConvertedCache({ kind, base, conversion, revision: () => this.#revision, freeze: this.#freeze });
    this.#converted.add(converted);
    return convertedServedKind(kind, converted);
  }

  /** What a list or watch of the kind shows now: a moment ago, while a webhook converts. */
  shownRevision({ converted }: ServedKind): number {
    return converted?.revision ?? this.#revision;
  }

  /** The objects of a custom resource, also while it is not served. */
  customCache(stored: Kind): WatchCache {
    const prefix = kindPrefix(stored);
    const known = this.#caches.get(prefix);
    if (known) return known;
    const cache = this.#cacheOf(stored);
    cache.load(this.#unclaimed.get(prefix) ?? [], this.#revision);
    this.#unclaimed.delete(prefix);
    return cache;
  }

  kindAt(group: string, version: string, resource: string): Kind | undefined {
    const place = `${group}/${version}/${resource}`;
    return this.#served.get(place)?.kind ?? this.#virtual.get(place);
  }

  served(group: string, version: string, resource: string): ServedKind | undefined {
    return this.#served.get(`${group}/${version}/${resource}`);
  }

  servedKind(kind: KindName): ServedKind {
    const served = this.#served.get(placeOf(kind));
    if (!served) throw new Error(`${placeOf(kind)} is not served`);
    return served;
  }

  /** Whether the kind's objects are served in more than one version or group. */
  hasVersions(served: ServedKind): boolean {
    if (this.#versioned.generation !== this.#kindsGeneration) {
      const byPrefix = Map.groupBy(this.#served.values(), (one) => kindPrefix(one.stored));
      const kinds = new Set([...byPrefix.values()].filter((versions) => versions.length > 1).flat());
      this.#versioned = { generation: this.#kindsGeneration, kinds };
    }
    return this.#versioned.kinds.has(served);
  }

  /** The kind as one of its versions, named as objects name it, serves it. */
  versionOf(served: ServedKind, apiVersion: string): ServedKind | undefined {
    const slash = apiVersion.indexOf('/');
    const other = this.#served.get(`${apiVersion.slice(0, Math.max(slash, 0))}/${apiVersion.slice(slash + 1)}/${served.kind.resource}`);
    return other !== undefined && kindPrefix(other.stored) === kindPrefix(served.stored) ? other : undefined;
  }

  // ---- reading

  get<T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string): T | undefined {
    const served = this.servedKind(kind);
    const entry = served.cache.get(objectPath(namespace, name));
    return entry && (served.encoded(entry).object as T);
  }

  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[] {
    const served = this.servedKind(kind);
    const entries = served.encodedAll(served.cache.list(namespace));
    let objects = this.#lists.get(entries);
    if (!objects) {
      objects = entries.map((entry) => entry.object);
      this.#lists.set(entries, objects);
    }
    return objects as readonly T[];
  }

  /** Of one kind's last change; without a kind, of everything the caches show. */
  revision(kind?: KindName): number {
    return kind ? this.servedKind(kind).cache.lastChange() : this.#revision;
  }

  // ---- writing

  /** Tells the cache which object a value about to be committed was encoded from, which spares it parsing. Nobody may change the object afterwards. */
  handOver(value: Uint8Array, object: KubeObject): void {
    this.#handedOver.set(value, object);
  }

  /** What was handed over with a value. The value may live as long as the store; what it was encoded from must not for its sake. */
  #taken(value: Uint8Array): KubeObject | undefined {
    const object = this.#handedOver.get(value);
    if (object !== undefined) this.#handedOver.delete(value);
    return object;
  }

  // ---- waiting

  /** Resolves when the caches show the revision; a `Timeout` when they do not in time. */
  async waitFor(revision: number): Promise<void> {
    if (revision <= this.#revision) return;
    const reached = await new Promise<boolean>((resolve) => {
      const finish = (answer: boolean): void => {
        this.#waiters.delete(waiter);
        timer.cancel();
        resolve(answer);
      };
      const waiter: Waiter = { revision, wake: () => finish(true) };
      const timer = this.#world.clock.after(freshnessTimeoutMs, () => finish(false));
      this.#waiters.add(waiter);
    });
    if (reached) return;
    throw new ApiError('Timeout', `Too large resource version: ${revision}, current: ${this.#revision}`, {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    });
  }

  /** Resolves when the object at the path is no longer `seen`, or after `timeoutMs`. */
  async waitForChange(cache: WatchCache, path: string, seen: Entry | undefined, timeoutMs: number): Promise<void> {
    if (cache.get(path) !== seen) return;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        stopWaiting();
        timer.cancel();
        resolve();
      };
      const stopWaiting = cache.onChange(path, finish);
      const timer = this.#world.clock.after(timeoutMs, finish);
    });
  }

  // ---- watches

  /** Bookmarks go out once a minute, while anyone asked for them. */
  armBookmarks(): void {
    this.#bookmarkTimer ??= this.#world.clock.after(bookmarkPeriodMs, () => {
      this.#bookmarkTimer = undefined;
      if (this.#sendBookmarks()) this.armBookmarks();
    });
  }

  #sendBookmarks(): boolean {
    let wanted = false;
    const tell = (cache: WatchCache, revision: number): void => {
      for (const watcher of cache.watchers()) {
        if (!watcher.bookmarks) continue;
        wanted = true;
        if (watcher.sentRevision < revision) watcher.live(bookmarkEvent(watcher.kind, revision, false), revision);
      }
    };
    for (const cache of this.#caches.values()) tell(cache, this.#revision);
    for (const { cache, revision } of this.#converted) tell(cache, revision);
    return wanted;
  }

  /** Ends every watch normally and stops listening to the store. */
  close(): void {
    this.#stop.abort();
    this.#bookmarkTimer?.cancel();
    for (const cache of this.#caches.values()) for (const watcher of cache.watchers()) watcher.end(undefined);
    for (const converted of this.#converted) converted.close();
    for (const waiter of this.#waiters) waiter.wake();
  }
}

function placeOf(kind: KindName): string {
  return `${kind.group}/${kind.version}/${kind.resource}`;
}
