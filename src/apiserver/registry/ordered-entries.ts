/**
 * Entries in the order of their paths, as an array that never changes once it was handed out. Changes are only noted; the next reader pays for merging them,
 * which costs him no more than looking at the entries does, and a burst of writes costs nothing per entry that is there already.
 */
import type { Entry } from './encoding.ts';

export class OrderedEntries {
  #entries: readonly Entry[];
  /** The same array while nobody else has it: entries that come in order, as all do at the start, are put at its end. */
  #ours: Entry[] | undefined;
  /** By path: the newest entry, or undefined for one that is gone. */
  #changes: Map<string, Entry | undefined> | undefined;
  #size: number;

  /** `entries` are in order, and never change. */
  constructor(entries: readonly Entry[] = []) {
    this.#entries = entries;
    this.#size = entries.length;
  }

  get size(): number {
    return this.#size;
  }

  /** All entries now, the same array until something changes. */
  snapshot(): readonly Entry[] {
    this.#ours = undefined;
    if (this.#changes) {
      this.#entries = withChanges(this.#entries, this.#changes);
      this.#changes = undefined;
    }
    return this.#entries;
  }

  /** Adds an entry that was not there. */
  add(entry: Entry): void {
    this.#size++;
    if (this.#entries.length === 0 && this.#changes === undefined) this.#entries = this.#ours = [];
    const last = this.#ours?.at(-1);
    if (this.#ours && this.#changes === undefined && (last === undefined || last.path < entry.path)) this.#ours.push(entry);
    else this.#change(entry.path, entry);
  }

  /** Replaces the entry with the same path, which is there. */
  replace(entry: Entry): void {
    this.#change(entry.path, entry);
  }

  /** Removes the entry at the path, which is there. */
  remove(path: string): void {
    this.#change(path, undefined);
    this.#size--;
  }

  #change(path: string, entry: Entry | undefined): void {
    this.#changes ??= new Map();
    this.#changes.set(path, entry);
  }
}

/** A copy with the changed entries in place of what was at their paths; undefined for entries that are gone, and maybe never were there. */
export function withChanges(entries: readonly Entry[], changes: ReadonlyMap<string, Entry | undefined>): readonly Entry[] {
  return replaced(entries, changes) ?? merged(entries, changes);
}

/** The common case, a copy with some entries in place of others; undefined when entries came or went. */
function replaced(entries: readonly Entry[], changes: ReadonlyMap<string, Entry | undefined>): readonly Entry[] | undefined {
  const result = entries.slice();
  for (const [path, entry] of changes) {
    const index = firstNotBefore(entries, path);
    if (entry === undefined || entries[index]?.path !== path) return undefined;
    result[index] = entry;
  }
  return result;
}

function merged(entries: readonly Entry[], changes: ReadonlyMap<string, Entry | undefined>): readonly Entry[] {
  const paths = [...changes.keys()].sort(byCodeUnits);
  const result: Entry[] = [];
  let next = 0;
  for (const path of paths) {
    const place = firstNotBefore(entries, path, next);
    for (; next < place; next++) keep(result, entries[next]);
    if (entries[next]?.path === path) next++;
    keep(result, changes.get(path));
  }
  for (; next < entries.length; next++) keep(result, entries[next]);
  return result;
}

function keep(result: Entry[], entry: Entry | undefined): void {
  if (entry) result.push(entry);
}

/** Names are ASCII, so this is the order of the store's bytes. */
function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The first index from `start` whose path is not before `path`. */
export function firstNotBefore(entries: readonly Entry[], path: string, start = 0): number {
  let low = start;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle];
    if (entry !== undefined && entry.path < path) low = middle + 1;
    else high = middle;
  }
  return low;
}
