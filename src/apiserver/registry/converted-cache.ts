/**
 * A version of a custom resource whose objects a webhook converts: a cache of its own, filled when the version is first asked for, and then following the
 * cache of what is stored, converted event by event in order. To the verbs it is a cache like any other, a moment behind: they wait until it has caught up.
 * Upstream, too, keeps a cache for each version.
 */
import type { Kind } from '../../api/kind.ts';
import { ApiError, expired } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { type NowOrLater, isLater } from '../now-or-later.ts';
import type { CacheEvent } from './cache-event.ts';
import { encodeForStore, Entry, spliceRevision } from './encoding.ts';
import { WatchCache } from './watch-cache.ts';

export interface Conversion {
  /** The objects, of whatever versions, as this version shows them, each its own copy; an error where that cannot be. */
  show(objects: readonly KubeObject[]): NowOrLater<readonly (KubeObject | ApiError)[]>;
  /** An object of this version in the one that is stored. Rejects with an `ApiError`. */
  toStored(object: KubeObject): NowOrLater<KubeObject>;
  /** Lets go of connections. */
  close(): void;
}

/** Enough for one call to be worth it, few enough for its answer to be a message and not a flood. */
const convertedAtOnce = 250;

/** A webhook that is slower than the writers for so long is not going to catch up: what was known is forgotten, and read again when asked for. */
const maxBehind = 10_000;

export interface ConvertedCacheOptions {
  readonly kind: Kind;
  /** Of what is stored. */
  readonly base: WatchCache;
  /** What the base shows. */
  readonly revision: () => number;
  readonly conversion: Conversion;
  readonly freeze: boolean;
}

interface Failure {
  readonly entry: Entry;
  readonly error: ApiError;
}

export class ConvertedCache {
  readonly conversion: Conversion;
  readonly #options: ConvertedCacheOptions;
  #cache: WatchCache;
  #stopFollowing: (() => void) | undefined;
  /** Of what is in the cache, while events wait to be converted. */
  #shown = 0;
  #waiting: CacheEvent[] = [];
  #working: Promise<void> | undefined;
  readonly #watchingSteps = new Set<() => void>();
  #failures = new Map<string, Failure>();
  #isClosed = false;

  constructor(options: ConvertedCacheOptions) {
    this.#options = options;
    this.conversion = options.conversion;
    this.#cache = this.#newCache();
  }

  get cache(): WatchCache {
    return this.#cache;
  }

  /** What the cache shows: the base's revision, or an earlier one while it is behind. */
  get revision(): number {
    return this.#working === undefined && this.#waiting.length === 0 ? this.#options.revision() : this.#shown;
  }

  /**
   * Resolves when the cache shows what the base shows now. Rejects when an object that matters to the caller cannot be converted; `matters` is given its
   * path.
   */
  async caughtUp(matters: (path: string) => boolean): Promise<void> {
    if (this.#isClosed) throw replaced();
    const wanted = this.#options.revision();
    if (this.#stopFollowing === undefined) this.#begin();
    while (this.#working !== undefined && this.#shown < wanted) await this.#nextStep();
    if (this.#isClosed) throw replaced();
    await this.#tryAgain(matters);
  }

  /** The revision of the last change of what is stored, also of objects that are gone. */
  lastChange(): number {
    return this.#options.base.lastChange();
  }

  /** Objects as they once were. Rejects when one cannot be converted. */
  async past(entries: readonly Entry[]): Promise<Entry[]> {
    const shown = await this.conversion.show(entries.map(({ object }) => object));
    return entries.map((entry, index) => {
      const object = shown[index];
      if (object === undefined || object instanceof Error) throw object ?? new Error('a conversion is missing');
      const { value } = itemOf(this.#cache, entry, object);
      return new Entry(entry, spliceRevision(value, this.#cache.headLength(value), entry.revision), undefined, false);
    });
  }

  /** Ends watches, and whoever waits. */
  close(): void {
    this.#isClosed = true;
    this.#forget();
    for (const watcher of this.#cache.watchers()) watcher.end(undefined);
    this.conversion.close();
  }

  #forget(): void {
    this.#stopFollowing?.();
    this.#stopFollowing = undefined;
    this.#working = undefined;
    this.#waiting = [];
    this.#failures.clear();
    this.#stepDone();
  }

  #newCache(): WatchCache {
    return new WatchCache(this.#options.kind, { freeze: this.#options.freeze });
  }

  #begin(): void {
    const { base, revision } = this.#options;
    const entries = base.list();
    const from = revision();
    this.#cache = this.#newCache();
    this.#shown = 0;
    this.#stopFollowing = base.onEvent((event) => this.#follow(event));
    this.#work(() => this.#fill(entries, from));
  }

  async #fill(entries: readonly Entry[], revision: number): Promise<void> {
    const cache = this.#cache;
    const items = [];
    for (let start = 0; start < entries.length && cache === this.#cache; start += convertedAtOnce) {
      const some = entries.slice(start, start + convertedAtOnce);
      const converted = await this.conversion.show(some.map(({ object }) => object));
      for (const [index, entry] of some.entries()) {
        const object = converted[index];
        if (object instanceof Error) this.#failures.set(entry.path, { entry, error: object });
        else if (object !== undefined) items.push(itemOf(cache, entry, object));
      }
    }
    if (cache !== this.#cache) return;
    cache.load(items, revision);
    this.#shown = revision;
  }

  #follow(event: CacheEvent): void {
    if (this.#working === undefined) {
      const shown = event.current === undefined ? [] : this.conversion.show([event.current.object]);
      if (!isLater(shown)) {
        this.#apply(event, shown[0]);
        return;
      }
      this.#work(async () => this.#apply(event, (await shown)[0]));
      return;
    }
    this.#waiting.push(event);
    if (this.#waiting.length > maxBehind) this.#fallBehind();
  }

  /** One thing at a time, then what came meanwhile. Conversions answer errors, they do not throw. */
  #work(first: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      await first();
      while (this.#waiting.length > 0) {
        const events = this.#waiting.slice(0, convertedAtOnce);
        const cache = this.#cache;
        const changed = events.flatMap(({ current }) => (current === undefined ? [] : [current.object]));
        const shown = (await this.conversion.show(changed)).values();
        if (cache !== this.#cache || this.#stopFollowing === undefined) return;
        this.#waiting.splice(0, events.length);
        for (const event of events) this.#apply(event, event.current === undefined ? undefined : shown.next().value);
        this.#stepDone();
      }
    };
    const working = run().finally(() => {
      if (this.#working === working) this.#working = undefined;
      this.#stepDone();
    });
    this.#working = working;
  }

  #nextStep(): Promise<void> {
    return new Promise((resolve) => {
      this.#watchingSteps.add(resolve);
    });
  }

  #stepDone(): void {
    for (const wake of this.#watchingSteps) wake();
    this.#watchingSteps.clear();
  }

  #apply({ revision, current, previous }: CacheEvent, object: KubeObject | ApiError | undefined): void {
    const cache = this.#cache;
    this.#shown = revision;
    const path = (current ?? previous)?.path ?? '';
    const hadFailed = this.#failures.delete(path);
    if (current === undefined) {
      cache.apply(revision, { type: 'delete', key: cache.prefix + path }, undefined);
    } else if (object instanceof Error) {
      this.#fail(current, object);
    } else if (object !== undefined) {
      const { value, createRevision } = itemOf(cache, current, object);
      cache.apply(revision, { type: 'put', key: cache.prefix + path, value, createRevision }, object);
    }
    // What watchers would have been told of it meanwhile nobody knows.
    if (hadFailed) cache.load([], revision);
  }

  /** Whoever watches must begin anew: what became of the object cannot be shown. */
  #fail(entry: Entry, error: ApiError): void {
    const cache = this.#cache;
    this.#failures.set(entry.path, { entry, error });
    for (const watcher of cache.watchers()) watcher.end(error);
    cache.apply(entry.revision, { type: 'delete', key: cache.prefix + entry.path }, undefined);
    cache.load([], entry.revision);
  }

  /** The webhook may have come back, or may have been mended. */
  async #tryAgain(matters: (path: string) => boolean): Promise<void> {
    const failures = [...this.#failures.values()].filter(({ entry }) => matters(entry.path));
    for (let start = 0; start < failures.length; start += convertedAtOnce) {
      const some = failures.slice(start, start + convertedAtOnce);
      const converted = await this.conversion.show(some.map(({ entry }) => entry.object));
      for (const [index, failure] of some.entries()) {
        const object = converted[index];
        const { entry } = failure;
        // Someone else may have changed or mended it meanwhile.
        if (this.#failures.get(entry.path) !== failure) continue;
        if (object instanceof Error) throw object;
        if (object === undefined) continue;
        this.#failures.delete(entry.path);
        this.#cache.load([itemOf(this.#cache, entry, object)], this.revision);
      }
    }
  }

  #fallBehind(): void {
    const { revision } = this.#options;
    for (const watcher of this.#cache.watchers())
      watcher.end(expired(`too old resource version: the conversion webhook fell behind at ${revision()}`));
    this.#forget();
    this.#cache = this.#newCache();
  }
}

/** A request was under way while its definition changed: clients try such again by themselves. */
function replaced(): ApiError {
  return new ApiError('ServiceUnavailable', 'the definition of the resource changed, try again', { retryAfterSeconds: 1 });
}

function itemOf(cache: WatchCache, { path, revision, createRevision }: Entry, object: KubeObject) {
  return { key: cache.prefix + path, modRevision: revision, createRevision, value: encodeForStore(object) };
}
