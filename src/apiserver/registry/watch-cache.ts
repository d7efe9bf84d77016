/**
 * All objects of one stored kind in memory, with the indexes reads need, the recent events watches start from, and the watchers themselves: upstream's
 * cacher. It is fed by the store's watch alone, synchronously and only with what is durable, so it never shows what could be lost.
 */
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Change, KeyValue } from '../../store/store.ts';
import { CacheEvent } from './cache-event.ts';
import { Entry, headLengthOf, headOf, spliceRevision } from './encoding.ts';
import { EventRing } from './event-ring.ts';
import { OrderedEntries } from './ordered-entries.ts';
import { kindPrefix } from './storage-key.ts';
import type { Watcher } from './watcher.ts';

/** Which events a watcher needs to be asked about: all, a namespace's, one object's, or those of pods on a node. */
export const everything = '';
export const inNamespace = (namespace: string): string => `namespace/${namespace}`;
export const named = (path: string): string => `object/${path}`;
export const onNode = (node: string): string => `node/${node}`;

const none: readonly Entry[] = [];

export class WatchCache {
  readonly kind: Kind;
  readonly prefix: string;
  readonly #head: Buffer;
  readonly #frozen: boolean;
  readonly #byPath = new Map<string, Entry>();
  readonly #all = new OrderedEntries();
  readonly #byNamespace = new Map<string, OrderedEntries>();
  /** Entries by the field the kind calls `spec.nodeName`, made when first asked for. */
  #byNode: Map<string, OrderedEntries> | undefined;
  #ring = new EventRing(0);
  #lastChange = 0;
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #listeners: ((event: CacheEvent) => void)[] = [];
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(kind: Kind, options: { readonly freeze: boolean }) {
    this.kind = kind;
    this.prefix = kindPrefix(kind);
    this.#head = Buffer.from(headOf(kind.kind, apiVersionOf(kind)));
    this.#frozen = options.freeze;
  }

  // ---- reading

  get(path: string): Entry | undefined {
    return this.#byPath.get(path);
  }

  /** Entries in order, of one namespace or all. The array is shared and never changes. */
  list(namespace?: string): readonly Entry[] {
    if (namespace === undefined) return this.#all.snapshot();
    return this.#byNamespace.get(namespace)?.snapshot() ?? none;
  }

  /** Entries on a node, in order. */
  onNode(node: string): readonly Entry[] {
    this.#byNode ??= this.#indexNodes();
    return this.#byNode.get(node)?.snapshot() ?? none;
  }

  /** The revision of the last change of any object of the kind. */
  lastChange(): number {
    return this.#lastChange;
  }

  // ---- being fed

  load(items: readonly KeyValue[], revision: number): void {
    for (const item of items) {
      this.#put(this.#entryOf(item.key, item.modRevision, item.createRevision, item.value, undefined), undefined);
      this.#lastChange = Math.max(this.#lastChange, item.modRevision);
    }
    this.#ring = new EventRing(revision);
  }

  /** `object` is what the value was encoded from, when the writer is in this process. */
  apply(revision: number, change: Change, object: KubeObject | undefined): void {
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
    const event = new CacheEvent(revision, current, previous, previous ? this.headLength(previous.bytes) : 0);
    this.#ring.add(event);
    for (const listener of this.#listeners) listener(event);
    this.#announce(event, path);
    const waiting = this.#waiting.get(path);
    if (waiting) for (const wake of waiting) wake();
  }

  #entryOf(key: string, revision: number, createRevision: number, value: Uint8Array, object: KubeObject | undefined): Entry {
    const path = key.slice(this.prefix.length);
    return new Entry({ path, revision, createRevision }, spliceRevision(value, this.headLength(value), revision), object, this.#frozen);
  }

  /** How long the part of an encoding is that comes before what differs between objects. */
  headLength(bytes: Uint8Array): number {
    return headLengthOf(bytes, this.#head);
  }

  #put(entry: Entry, previous: Entry | undefined): void {
    this.#byPath.set(entry.path, entry);
    place(this.#all, entry, previous);
    if (entry.namespace !== undefined) place(orderedOf(this.#byNamespace, entry.namespace), entry, previous);
    if (!this.#byNode) return;
    const node = this.#nodeOf(entry);
    const before = previous && this.#nodeOf(previous);
    if (previous && before !== undefined && before !== node) removeFrom(this.#byNode, before, previous.path);
    place(orderedOf(this.#byNode, node), entry, before === node ? previous : undefined);
  }

  #remove(entry: Entry): void {
    this.#byPath.delete(entry.path);
    this.#all.remove(entry.path);
    if (entry.namespace !== undefined) removeFrom(this.#byNamespace, entry.namespace, entry.path);
    if (this.#byNode) removeFrom(this.#byNode, this.#nodeOf(entry), entry.path);
  }

  // ---- the node index

  #indexNodes(): Map<string, OrderedEntries> {
    const index = new Map<string, OrderedEntries>();
    for (const entry of this.#all.snapshot()) orderedOf(index, this.#nodeOf(entry)).add(entry);
    return index;
  }

  #nodeOf(entry: Entry): string {
    return this.kind.selectableFields['spec.nodeName']?.(entry.object) ?? '';
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

  /** Called with every change, before watchers are. */
  onEvent(listener: (event: CacheEvent) => void): void {
    this.#listeners.push(listener);
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

function orderedOf(index: Map<string, OrderedEntries>, key: string): OrderedEntries {
  let ordered = index.get(key);
  if (!ordered) {
    ordered = new OrderedEntries();
    index.set(key, ordered);
  }
  return ordered;
}

function place(ordered: OrderedEntries, entry: Entry, previous: Entry | undefined): void {
  if (previous) ordered.replace(entry);
  else ordered.add(entry);
}

function removeFrom(index: Map<string, OrderedEntries>, key: string, path: string): void {
  const ordered = index.get(key);
  ordered?.remove(path);
  if (ordered?.size === 0) index.delete(key);
}
