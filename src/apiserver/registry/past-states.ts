/**
 * Earlier states of a kind, which later pages of a list still show. What a state was never changes, so it is known for as long as memory allows; after that
 * it is put together again from the newest state and the recent events, or read from the store.
 */
import type { CacheEvent } from './cache-event.ts';
import type { Entry } from './encoding.ts';
import { withChanges } from './ordered-entries.ts';

/** Lists under way at the same time. */
const maxStates = 64;

export class PastStates {
  readonly #known = new Map<string, WeakRef<readonly Entry[]>>();

  at(revision: number, namespace: string | undefined): readonly Entry[] | undefined {
    return this.#known.get(keyOf(revision, namespace))?.deref();
  }

  keep(revision: number, namespace: string | undefined, entries: readonly Entry[]): void {
    const key = keyOf(revision, namespace);
    this.#known.delete(key);
    this.#known.set(key, new WeakRef(entries));
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxStates && oldest !== undefined) this.#known.delete(oldest);
  }
}

function keyOf(revision: number, namespace: string | undefined): string {
  return `${revision}/${namespace ?? ''}`;
}

/** What the entries were before the events, oldest first. Besides theirs, the answer holds all entries of the namespace that the events changed. */
export function undone(entries: readonly Entry[], events: readonly CacheEvent[], namespace: string | undefined): readonly Entry[] {
  const before = new Map<string, Entry | undefined>();
  for (const { current, previous } of events) {
    const entry = current ?? previous;
    if (entry === undefined || before.has(entry.path) || (namespace !== undefined && entry.namespace !== namespace)) continue;
    before.set(entry.path, previous);
  }
  return before.size === 0 ? entries : withChanges(entries, before);
}
