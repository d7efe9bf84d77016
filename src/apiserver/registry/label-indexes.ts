/**
 * Indexes by the labels that selectors ask for, so that a list by label costs its answer and not the objects there are. A key is indexed when it is first
 * asked for among many objects, which costs no more than looking at them once, and the key nobody asked for longest makes room for the next.
 */
import type { Selector } from '../../machinery/selector.ts';
import type { Entry } from './encoding.ts';
import { EntryIndex } from './entry-index.ts';

/** Each costs every write a look at the label, and some memory per object. */
const maxKeys = 8;
/** Fewer objects are looked at one by one. */
export const worthIndexing = 500;

export class LabelIndexes {
  readonly #all: () => readonly Entry[];
  /** By key; the one used last comes last. */
  readonly #byKey = new Map<string, EntryIndex>();

  constructor(all: () => readonly Entry[]) {
    this.#all = all;
  }

  /** Fewer than `enough` entries, in order, among which are all that the selector matches; undefined when no label narrows them down so far. */
  narrowed(selector: Selector, enough: number): readonly Entry[] | undefined {
    let best: { readonly index: EntryIndex; readonly value: string } | undefined;
    let fewest = enough;
    for (const { key, operator, values } of selector.requirements) {
      const [value] = values;
      if (value === undefined || values.length !== 1 || (operator !== '=' && operator !== '==' && operator !== 'in')) continue;
      const index = this.#indexOf(key);
      const count = index.count(value);
      if (count >= fewest) continue;
      fewest = count;
      best = { index, value };
    }
    return best?.index.at(best.value);
  }

  put(entry: Entry, previous: Entry | undefined): void {
    for (const index of this.#byKey.values()) index.put(entry, previous);
  }

  remove(entry: Entry): void {
    for (const index of this.#byKey.values()) index.remove(entry);
  }

  #indexOf(key: string): EntryIndex {
    let index = this.#byKey.get(key);
    if (index) this.#byKey.delete(key);
    else index = new EntryIndex(({ labels }) => (labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined), this.#all());
    this.#byKey.set(key, index);
    const [oldest] = this.#byKey.keys();
    if (this.#byKey.size > maxKeys && oldest !== undefined) this.#byKey.delete(oldest);
    return index;
  }
}
