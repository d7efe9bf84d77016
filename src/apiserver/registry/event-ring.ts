/** The recent events of one kind, so that a watch which lost its connection a moment ago goes on where it was. Bounded by count and by bytes. */
import type { CacheEvent } from './cache-event.ts';

const maxEvents = 8192;
const maxBytes = 16 * 1024 * 1024;

export class EventRing {
  #events: CacheEvent[] = [];
  #head = 0;
  #bytes = 0;
  /** Events after this revision are all here. */
  #completeAfter: number;

  constructor(revision: number) {
    this.#completeAfter = revision;
  }

  add(event: CacheEvent): void {
    this.#events.push(event);
    this.#bytes += weight(event);
    while (this.#events.length - this.#head > 1 && (this.#events.length - this.#head > maxEvents || this.#bytes > maxBytes)) this.#dropFirst();
    if (this.#head > 256 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Events after the revision, oldest first; undefined when some of them are gone. */
  after(revision: number): readonly CacheEvent[] | undefined {
    if (revision < this.#completeAfter) return undefined;
    let low = this.#head;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }

  oldestRevision(): number {
    return this.#completeAfter;
  }

  #dropFirst(): void {
    const event = this.#events[this.#head];
    if (event === undefined) return;
    this.#bytes -= weight(event);
    this.#completeAfter = event.revision;
    this.#head++;
  }
}

/** An event keeps alive the entry it replaced; the one it brought is mostly in the cache anyway. */
function weight(event: CacheEvent): number {
  return 200 + (event.previous?.byteLength ?? 0);
}
