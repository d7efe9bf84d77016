/** Which key expires next: a binary heap by time. Entries of keys written again since stay until their time comes, and are then passed over. */

/** A key and the revision whose time it is. */
export interface Expiring {
  readonly key: string;
  readonly modRevision: number;
  readonly expiresAtMs: number;
}

export class ExpiryQueue {
  #heap: Expiring[] = [];
  /** Above this many entries the stale ones are swept out. */
  #sweepAt = 1024;
  readonly #isCurrent: (entry: Expiring) => boolean;

  constructor(isCurrent: (entry: Expiring) => boolean) {
    this.#isCurrent = isCurrent;
  }

  add(entry: Expiring): void {
    if (this.#heap.length >= this.#sweepAt) this.#sweep();
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
  }

  /** The earliest time, of an entry that may be stale; undefined for none. */
  nextMs(): number | undefined {
    return this.#heap[0]?.expiresAtMs;
  }

  /** Takes out up to `limit` keys whose time has come. */
  takeDue(nowMs: number, limit: number): Expiring[] {
    const due: Expiring[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.expiresAtMs <= nowMs && due.length < limit; first = this.#heap[0]) {
      this.#removeFirst();
      if (this.#isCurrent(first)) due.push(first);
    }
    return due;
  }

  #sweep(): void {
    this.#heap = this.#heap.filter(this.#isCurrent).sort((a, b) => a.expiresAtMs - b.expiresAtMs);
    this.#sweepAt = Math.max(1024, this.#heap.length * 2);
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #up(start: number): void {
    const heap = this.#heap;
    let index = start;
    const entry = heap[index];
    if (entry === undefined) return;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || parent.expiresAtMs <= entry.expiresAtMs) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  #down(start: number): void {
    const heap = this.#heap;
    let index = start;
    const entry = heap[index];
    if (entry === undefined) return;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = heap[childIndex];
      const right = heap[childIndex + 1];
      if (child !== undefined && right !== undefined && right.expiresAtMs < child.expiresAtMs) {
        child = right;
        childIndex++;
      }
      if (child === undefined || child.expiresAtMs >= entry.expiresAtMs) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = entry;
  }
}
