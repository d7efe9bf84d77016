/**
 * All objects of one stored kind in memory, with the indexes reads need, the recent events watches start from, and the watchers themselves: upstream's
 * cacher. It is fed by the store's watch alone, synchronously and only with what is durable, so it never shows what could be lost.
 */
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Selector } from '../../machinery/selector.ts';
import type { Change, KeyValue } from '../../store/store.ts';
import { CacheEvent } from './cache-event.ts';
import { Entry, headLengthOf, headOf, Slabs, spliceIntoSlab, spliceRevision } from './encoding.ts';
import { EntryIndex } from './entry-index.ts';
import { EventRing } from './event-ring.ts';
import { LabelIndexes, worthIndexing } from './label-indexes.ts';
import { OrderedEntries } from './ordered-entries.ts';
import { PastStates, undone } from './past-states.ts';
import { kindPrefix } from './storage-key.ts';
import type { Watcher } from './watcher.ts';

/** Which events a watcher needs to be asked about: all, a namespace's, one object's, or those of pods on a node. */
export const everything = '';
export const inNamespace = (namespace: string): string => `namespace/${namespace}`;
export const named = (path: string): string => `object/${path}`;
export const onNode = (node: string): string => `node/${node}`;

const nodePath = ['spec', 'nodeName'];

/** As much of a store's change as the cache looks at. */
type CacheChange = Omit<Extract<Change, { type: 'put' }>, 'previous'> | Omit<Extract<Change, { type: 'delete' }>, 'previous'>;

export interface WatchCacheOptions {
  /** Freezes every object, so that a test finds whoever changes a shared one. */
  readonly freeze: boolean;
  /** Whether values stay as the store gave them, so that they need not be copied; false when absent. */
  readonly sharesValues?: boolean;
}

export class WatchCache {
  readonly kind: Kind;
  readonly prefix: string;
  readonly #head: Buffer;
  readonly #frozen: boolean;
  readonly #sharesValues: boolean;
  readonly #byPath = new Map<string, Entry>();
  readonly #all = new OrderedEntries();
  readonly #byNamespace = new EntryIndex(namespaceOf, []);
  /** Entries by the field the kind calls `spec.nodeName`, made when first asked for. */
  #byNode: EntryIndex | undefined;
  readonly #byLabel = new LabelIndexes(() => this.#all.snapshot());
  #ring = new EventRing(0);
  readonly #past = new PastStates();
  #lastChange = 0;
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #listeners: ((event: CacheEvent) => void)[] = [];
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(kind: Kind, options: WatchCacheOptions) {
    this.kind = kind;
    this.prefix = kindPrefix(kind);
    this.#head = Buffer.from(headOf(kind.kind, apiVersionOf(kind)));
    this.#frozen = options.freeze;
    this.#sharesValues = options.sharesValues ?? false;
  }

  // ---- reading

  get(path: string): Entry | undefined {
    return this.#byPath.get(path);
  }

  /** Entries in order, of one namespace or all. The array is shared and never changes. */
  list(namespace?: string): readonly Entry[] {
    if (namespace === undefined) return this.#all.snapshot();
    return this.#byNamespace.at(namespace);
  }

  /** The same as of an earlier revision; undefined when that is too long ago for the recent events. */
  listAt(revision: number, namespace?: string): readonly Entry[] | undefined {
    const known = this.#past.at(revision, namespace);
    if (known) return known;
    const entries = this.undoneTo(revision, this.list(namespace), namespace);
    if (entries) this.keepAt(revision, entries, namespace);
    return entries;
  }

  /** A list of the revision that is going to be asked for again. */
  keepAt(revision: number, entries: readonly Entry[], namespace?: string): void {
    this.#past.keep(revision, namespace, entries);
  }

  /** Current entries with everything that has changed since an earlier revision as it was then; undefined when that is too long ago. */
  undoneTo(revision: number, entries: readonly Entry[], namespace?: string): readonly Entry[] | undefined {
    if (revision >= this.#lastChange) return entries;
    const events = this.#ring.after(revision);
    return events && undone(entries, events, namespace);
  }

  /** Entries on a node, in order. */
  onNode(node: string): readonly Entry[] {
    this.#byNode ??= new EntryIndex((entry) => this.#nodeOf(entry), this.#all.snapshot());
    return this.#byNode.at(node);
  }

  /** As {@link list}, or fewer, but all that the selector matches. May be of other namespaces, too. */
  withLabels(selector: Selector, namespace?: string): readonly Entry[] {
    const count = namespace === undefined ? this.#all.size : this.#byNamespace.count(namespace);
    return (count < worthIndexing ? undefined : this.#byLabel.narrowed(selector, count)) ?? this.list(namespace);
  }

  /** The revision of the last change of any object of the kind. */
  lastChange(): number {
    return this.#lastChange;
  }

  // ---- being fed

  /** Begins with these objects, as of the revision. */
  load(items: readonly KeyValue[], revision: number): void {
    const slabs = new Slabs();
    for (const item of items) this.loadOne(item, slabs);
    this.#ring = new EventRing(revision);
  }

  /** The item's value need only be there during the call, unless values are shared. */
  loadOne({ key, value, modRevision, createRevision }: KeyValue, slabs: Slabs): void {
    const path = key.slice(this.prefix.length);
    const headLength = this.headLength(value);
    const bytes = this.#sharesValues ? { stored: value, headLength } : spliceIntoSlab(value, headLength, modRevision, slabs);
    this.#put(new Entry({ path, revision: modRevision, createRevision }, bytes, undefined, this.#frozen), undefined);
    this.#lastChange = Math.max(this.#lastChange, modRevision);
  }

  /** `object` is what the value was encoded from, when the writer is in this process. */
  apply(revision: number, change: CacheChange, object: KubeObject | undefined): void {
    const path = change.key.slice(this.prefix.length);
    const previous = this.#byPath.get(path);
    let current: Entry | undefined;
    if (change.type === 'put') {
      if (object) object.metadata.resourceVersion = String(revision);
      current = this.#entryOf(change.key, revision, change.createRevision, change.value, object);
      this.#put(current, previous);
    } else if (previous) this.#remove(previous);
    else return;
    this.#lastChange = revision;
    const event = new CacheEvent(revision, current, previous, previous ? this.#headLengthOf(previous) : 0);
    this.#ring.add(event);
    for (const listener of this.#listeners) listener(event);
    this.#announce(event, path);
    const waiting = this.#waiting.get(path);
    if (waiting) for (const wake of waiting) wake();
  }

  #entryOf(key: string, revision: number, createRevision: number, value: Uint8Array, object: KubeObject | undefined): Entry {
    const path = key.slice(this.prefix.length);
    const headLength = this.headLength(value);
    const bytes = this.#sharesValues ? { stored: value, headLength } : spliceRevision(value, headLength, revision);
    return new Entry({ path, revision, createRevision }, bytes, object, this.#frozen);
  }

  /** How long the part of an encoding is that comes before what differs between objects. */
  headLength(bytes: Uint8Array): number {
    return headLengthOf(bytes, this.#head);
  }

  #headLengthOf(entry: Entry): number {
    return entry.headLength ?? this.headLength(entry.bytes);
  }

  #put(entry: Entry, previous: Entry | undefined): void {
    this.#byPath.set(entry.path, entry);
    if (previous) this.#all.replace(entry);
    else this.#all.add(entry);
    this.#byNamespace.put(entry, previous);
    this.#byNode?.put(entry, previous);
    this.#byLabel.put(entry, previous);
  }

  #remove(entry: Entry): void {
    this.#byPath.delete(entry.path);
    this.#all.remove(entry.path);
    this.#byNamespace.remove(entry);
    this.#byNode?.remove(entry);
    this.#byLabel.remove(entry);
  }

  #nodeOf(entry: Entry): string {
    return entry.textAt(nodePath);
  }

  // ---- watching

  /** Events after the revision that are still known; undefined when some are gone. */
  eventsAfter(revision: number): readonly CacheEvent[] | undefined {
    return this.#ring.after(revision);
  }

  oldestEvent(): number {
    return this.#ring.oldestRevision();
  }

  addWatcher(watcher: Watcher): void {
    const set = this.#watchers.get(watcher.scope);
    if (set) set.add(watcher);
    else this.#watchers.set(watcher.scope, new Set([watcher]));
  }

  removeWatcher(watcher: Watcher): void {
    const set = this.#watchers.get(watcher.scope);
    if (set?.delete(watcher) && set.size === 0) this.#watchers.delete(watcher.scope);
  }

  *watchers(): Generator<Watcher> {
    for (const set of this.#watchers.values()) yield* set;
  }

  /** Called with every change, before watchers are. Answers how to stop that. */
  onEvent(listener: (event: CacheEvent) => void): () => void {
    this.#listeners.push(listener);
    return () => {
      const index = this.#listeners.indexOf(listener);
      if (index >= 0) this.#listeners.splice(index, 1);
    };
  }

  /** Calls once when the object at the path changes next; answers how to stop waiting. */
  onChange(path: string, wake: () => void): () => void {
    const set = this.#waiting.get(path) ?? new Set();
    this.#waiting.set(path, set);
    set.add(wake);
    return () => {
      if (set.delete(wake) && set.size === 0 && this.#waiting.get(path) === set) this.#waiting.delete(path);
    };
  }

  #announce(event: CacheEvent, path: string): void {
    if (this.#watchers.size === 0) return;
    const entry = event.current ?? event.previous;
    this.#tell(everything, event);
    this.#tell(named(path), event);
    if (entry?.namespace !== undefined) this.#tell(inNamespace(entry.namespace), event);
    if (this.kind.selectableFields['spec.nodeName'] === undefined) return;
    const before = event.previous && this.#nodeOf(event.previous);
    const after = event.current && this.#nodeOf(event.current);
    if (before !== undefined) this.#tell(onNode(before), event);
    if (after !== undefined && after !== before) this.#tell(onNode(after), event);
  }

  #tell(scope: string, event: CacheEvent): void {
    const set = this.#watchers.get(scope);
    if (set) for (const watcher of set) watcher.tell(event);
  }
}

function namespaceOf({ namespace }: Entry): string | undefined {
  return namespace;
}
