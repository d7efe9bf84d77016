/** One client's watch: decides for each event whether and as what the client sees it, and ends itself rather than fall behind without a word. */
import type { Kind } from '../../api/kind.ts';
import { expired } from '../../machinery/errors.ts';
import type { Log, Timer } from '../../world/world.ts';
import type { EncodedWatchEvent, WatchSink } from '../request.ts';
import type { CacheEvent } from './cache-event.ts';
import type { Entry } from './encoding.ts';

export interface WatcherOptions {
  /** The kind the client asked for. */
  readonly kind: Kind;
  readonly scope: string;
  readonly selects: ((entry: Entry) => boolean) | undefined;
  /** To the version the client asked for. */
  readonly convert: ((event: EncodedWatchEvent) => EncodedWatchEvent) | undefined;
  /** Events at or before this revision are not the client's concern. */
  readonly afterRevision: number;
  readonly bookmarks: boolean;
  readonly sink: WatchSink;
  readonly log: Log;
  readonly onEnd: (watcher: Watcher) => void;
}

export class Watcher {
  readonly kind: Kind;
  readonly scope: string;
  readonly bookmarks: boolean;
  /** The revision the client knows of. */
  sentRevision: number;
  timer: Timer | undefined;
  readonly #options: WatcherOptions;
  #ended = false;

  constructor(options: WatcherOptions) {
    this.kind = options.kind;
    this.scope = options.scope;
    this.bookmarks = options.bookmarks;
    this.sentRevision = options.afterRevision;
    this.#options = options;
  }

  get ended(): boolean {
    return this.#ended;
  }

  tell(event: CacheEvent): void {
    if (event.revision <= this.#options.afterRevision) return;
    const seen = event.seenBy(this.#options.selects);
    if (seen) this.live(seen, event.revision);
  }

  /** An event as it happens. A sink over its bound means a client that does not keep up. */
  live(event: EncodedWatchEvent, revision: number): void {
    if (!this.#send(event, revision)) this.end(expired(`too old resource version: the watch fell behind at ${revision}`));
  }

  /** An event from before the watch began. All of them are handed over at once, and may be more than the sink holds of live ones. */
  replay(event: EncodedWatchEvent, revision: number): void {
    this.#send(event, revision);
  }

  #send(event: EncodedWatchEvent, revision: number): boolean {
    if (this.#ended) return true;
    this.sentRevision = revision;
    try {
      return this.#options.sink.send(this.#options.convert ? this.#options.convert(event) : event);
    } catch (error) {
      this.#options.log.error('a watch could not be written', { error: String(error) });
      this.end(undefined);
      return true;
    }
  }

  end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.timer?.cancel();
    this.#options.onEnd(this);
    try {
      this.#options.sink.end(error);
    } catch (failure) {
      this.#options.log.error('a watch could not be ended', { error: String(failure) });
    }
  }
}
