/** The newest events, kept in memory within bounds, so that a watch that lost its connection a moment ago resumes without reading the medium. */
import type { StoreEvent } from './store.ts';

export interface RecentBounds {
  readonly events: number;
  readonly bytes: number;
}

export class RecentEvents {
  readonly #bounds: RecentBounds;
  /** Revision minus one of the first event kept; what came up to and including it is not here. */
  #before: number;
  #events: StoreEvent[] = [];
  #head = 0;
  #bytes = 0;

  constructor(bounds: RecentBounds, revision: number) {
    this.#bounds = bounds;
    this.#before = revision;
  }

  add(event: StoreEvent): void {
    this.#events.push(event);
    this.#bytes += sizeOf(event);
    while (this.#events.length - this.#head > this.#bounds.events || this.#bytes > this.#bounds.bytes) this.#dropFirst();
    // Shifting an array costs its length; cutting off the consumed half now and then costs nothing per event.
    if (this.#head > 64 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Events after the revision, oldest first; undefined when some of them are no longer here. */
  after(revision: number): readonly StoreEvent[] | undefined {
    if (revision < this.#before) return undefined;
    return this.#events.slice(this.#head + (revision - this.#before));
  }

  #dropFirst(): void {
    const event = this.#events[this.#head];
    if (event === undefined) return;
    this.#bytes -= sizeOf(event);
    this.#before = event.revision;
    this.#head++;
  }
}

function sizeOf(event: StoreEvent): number {
  let bytes = 100;
  for (const change of event.changes) {
    bytes += 200 + change.key.length + (change.type === 'put' ? change.value.length : 0) + (change.previous?.value.length ?? 0);
  }
  return bytes;
}
