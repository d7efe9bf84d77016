/** Timers in the order they are due: a binary heap by time, and by the order of their making within one time. Cancelled ones stay until they surface. */

export interface HeapTimer {
  readonly id: number;
  atMs: number;
  cancelled: boolean;
}

export class TimerHeap<T extends HeapTimer> {
  #heap: T[] = [];
  #cancelled = 0;

  /** Timers that will still fire. */
  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  add(timer: T): void {
    this.#heap.push(timer);
    this.#up(this.#heap.length - 1);
  }

  cancel(timer: T): void {
    if (timer.cancelled) return;
    timer.cancelled = true;
    this.#cancelled++;
    // Most timers of a cluster are deadlines that never come: they must not pile up until their time.
    if (this.#cancelled > 1024 && this.#cancelled * 2 > this.#heap.length) {
      this.#heap = this.#heap.filter(({ cancelled }) => !cancelled).sort(order);
      this.#cancelled = 0;
    }
  }

  first(): T | undefined {
    for (let timer = this.#heap[0]; timer?.cancelled; timer = this.#heap[0]) {
      this.#removeFirst();
      this.#cancelled--;
    }
    return this.#heap[0];
  }

  /** The first, no longer in the heap. */
  take(): T | undefined {
    const first = this.first();
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #up(start: number): void {
    const heap = this.#heap;
    const timer = heap[start];
    if (timer === undefined) return;
    let index = start;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || order(parent, timer) <= 0) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = timer;
  }

  #down(start: number): void {
    const heap = this.#heap;
    const timer = heap[start];
    if (timer === undefined) return;
    let index = start;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = heap[childIndex];
      const right = heap[childIndex + 1];
      if (child !== undefined && right !== undefined && order(right, child) < 0) {
        child = right;
        childIndex++;
      }
      if (child === undefined || order(child, timer) >= 0) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = timer;
  }
}

function order(a: HeapTimer, b: HeapTimer): number {
  return a.atMs - b.atMs || a.id - b.id;
}
