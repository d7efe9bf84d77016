/** One change of one object as the watch cache sees it, and the event it is for a watcher that selects some of the objects. */
import type { KubeObject } from '../../machinery/object.ts';
import type { EncodedWatchEvent } from '../request.ts';
import { type Entry, EntryEvent, respliceRevision } from './encoding.ts';

export class CacheEvent {
  readonly revision: number;
  /** The object after the change; undefined when it was deleted. */
  readonly current: Entry | undefined;
  /** The object before; undefined when it was created. */
  readonly previous: Entry | undefined;
  readonly #headLength: number;
  #added: EncodedWatchEvent | undefined;
  #changed: EncodedWatchEvent | undefined;
  #deleted: EncodedWatchEvent | undefined;

  constructor(revision: number, current: Entry | undefined, previous: Entry | undefined, headLength: number) {
    this.revision = revision;
    this.current = current;
    this.previous = previous;
    this.#headLength = headLength;
  }

  /** What to tell a watcher; undefined for nothing. The event is built once and shared by all watchers. */
  seenBy(selects: ((entry: Entry) => boolean) | undefined): EncodedWatchEvent | undefined {
    const { current, previous } = this;
    const isIn = current !== undefined && (selects === undefined || selects(current));
    const wasIn = previous !== undefined && (selects === undefined || selects(previous));
    if (isIn) return wasIn ? this.#asChanged(current) : this.#asAdded(current);
    return wasIn ? this.#asDeleted(previous) : undefined;
  }

  #asAdded(entry: Entry): EncodedWatchEvent {
    this.#added ??= new EntryEvent('ADDED', entry);
    return this.#added;
  }

  #asChanged(entry: Entry): EncodedWatchEvent {
    this.#changed ??= new EntryEvent('MODIFIED', entry);
    return this.#changed;
  }

  /** The last state the watcher could see, at the revision at which it went. */
  #asDeleted(entry: Entry): EncodedWatchEvent {
    this.#deleted ??= new DeletedEvent(entry, this.revision, this.#headLength);
    return this.#deleted;
  }
}

class DeletedEvent implements EncodedWatchEvent {
  readonly type = 'DELETED';
  readonly #last: Entry;
  readonly #revision: number;
  readonly #headLength: number;
  #bytes: Uint8Array | undefined;

  constructor(last: Entry, revision: number, headLength: number) {
    this.#last = last;
    this.#revision = revision;
    this.#headLength = headLength;
  }

  get object(): KubeObject {
    const { object } = this.#last;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#revision) } };
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= respliceRevision(this.#last.bytes, this.#headLength, this.#last.revision, this.#revision));
  }
}
