/** Entries by one value of each, in order: by namespace, by node, by a label. */
import type { Entry } from './encoding.ts';
import { OrderedEntries } from './ordered-entries.ts';

const none: readonly Entry[] = [];

export class EntryIndex {
  /** Undefined for an entry that is not in the index. */
  readonly #valueOf: (entry: Entry) => string | undefined;
  readonly #byValue = new Map<string, OrderedEntries>();

  /** `entries` are in order. */
  constructor(valueOf: (entry: Entry) => string | undefined, entries: readonly Entry[]) {
    this.#valueOf = valueOf;
    const groups = Map.groupBy(entries, valueOf);
    groups.delete(undefined);
    for (const [value, group] of groups) if (value !== undefined) this.#byValue.set(value, new OrderedEntries(group));
  }

  /** The entries with the value, in order. The array is shared and never changes. */
  at(value: string): readonly Entry[] {
    return this.#byValue.get(value)?.snapshot() ?? none;
  }

  count(value: string): number {
    return this.#byValue.get(value)?.size ?? 0;
  }

  /** `previous` is what was at the same path. */
  put(entry: Entry, previous: Entry | undefined): void {
    const value = this.#valueOf(entry);
    const before = previous && this.#valueOf(previous);
    if (previous && before !== undefined && before !== value) this.#take(before, previous.path);
    if (value === undefined) return;
    const ordered = this.#byValue.get(value);
    if (ordered !== undefined && before === value) ordered.replace(entry);
    else if (ordered !== undefined) ordered.add(entry);
    else {
      const first = new OrderedEntries();
      first.add(entry);
      this.#byValue.set(value, first);
    }
  }

  remove(entry: Entry): void {
    const value = this.#valueOf(entry);
    if (value !== undefined) this.#take(value, entry.path);
  }

  #take(value: string, path: string): void {
    const ordered = this.#byValue.get(value);
    ordered?.remove(path);
    if (ordered?.size === 0) this.#byValue.delete(value);
  }
}
