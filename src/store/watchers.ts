/** Who wants to hear of which prefix. Events are handed over synchronously, in order; a handler that throws is ended, never the store. */
import type { Log } from '../world/world.ts';
import type { StoreEvent } from './store.ts';

interface Watcher {
  readonly prefix: string;
  afterRevision: number;
  readonly onEvent: (event: StoreEvent) => void;
  readonly end: () => void;
}

export class Watchers {
  readonly #watchers = new Set<Watcher>();
  readonly #log: Log | undefined;

  constructor(log: Log | undefined) {
    this.#log = log;
  }

  /** Hands over `past`, then joins the watcher to what comes, unless the signal aborts on the way. */
  add(prefix: string, afterRevision: number, past: readonly StoreEvent[], onEvent: (event: StoreEvent) => void, signal: AbortSignal): void {
    const end = (): void => {
      this.#watchers.delete(watcher);
      signal.removeEventListener('abort', end);
    };
    const watcher: Watcher = { prefix, afterRevision, onEvent, end };
    this.#watchers.add(watcher);
    signal.addEventListener('abort', end);
    for (const event of past) {
      if (!this.#watchers.has(watcher)) return;
      this.#hand(watcher, event);
    }
  }

  announce(event: StoreEvent): void {
    for (const watcher of this.#watchers) this.#hand(watcher, event);
  }

  clear(): void {
    for (const watcher of this.#watchers) watcher.end();
  }

  #hand(watcher: Watcher, event: StoreEvent): void {
    if (event.revision <= watcher.afterRevision) return;
    watcher.afterRevision = event.revision;
    const seen = narrowed(event, watcher.prefix);
    if (seen === undefined) return;
    try {
      watcher.onEvent(seen);
    } catch (error) {
      watcher.end();
      this.#log?.error('a store watcher threw and was ended', {
        prefix: watcher.prefix,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  }
}

/** The event with the changes below the prefix only; itself when that is all of them, undefined when none. */
function narrowed(event: StoreEvent, prefix: string): StoreEvent | undefined {
  const { changes } = event;
  const [only] = changes;
  if (changes.length === 1 && only) return only.key.startsWith(prefix) ? event : undefined;
  const matching = changes.filter(({ key }) => key.startsWith(prefix));
  if (matching.length === 0) return undefined;
  return matching.length === changes.length ? event : { revision: event.revision, changes: matching };
}
