/** A binary heap: the first in order comes out first. Removal only marks, so that it costs nothing. */
export class PriorityHeap<T> {
  private readonly items: T[] = [];
  private readonly removed = new Set<T>();
  private readonly compare: (a: T, b: T) => number;

  constructor(compare: (a: T, b: T) => number) {
    this.compare = compare;
  }

  push(item: T): void {
    // One that was removed is still in there, at the place of its old self.
    if (this.removed.delete(item)) this.takeOut(item);
    let index = this.items.push(item) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.swapIfBefore(index, parent)) break;
      index = parent;
    }
  }

  pop(): T | undefined {
    for (;;) {
      const [first] = this.items;
      if (first === undefined) return undefined;
      const last = this.items.pop();
      if (last !== undefined && this.items.length > 0) {
        this.items[0] = last;
        this.sink();
      }
      if (!this.removed.delete(first)) return first;
    }
  }

  /** The item must be in the heap. */
  remove(item: T): void {
    this.removed.add(item);
  }

  private takeOut(item: T): void {
    const others = this.items.filter((other) => other !== item);
    this.items.length = 0;
    for (const other of others.sort(this.compare)) this.items.push(other);
  }

  private sink(): void {
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const [left, right] = [this.items[child], this.items[child + 1]];
      if (left === undefined) return;
      if (right !== undefined && this.compare(right, left) < 0) child++;
      if (!this.swapIfBefore(child, index)) return;
      index = child;
    }
  }

  private swapIfBefore(a: number, b: number): boolean {
    const [itemA, itemB] = [this.items[a], this.items[b]];
    if (itemA === undefined || itemB === undefined || this.compare(itemA, itemB) >= 0) return false;
    this.items[a] = itemB;
    this.items[b] = itemA;
    return true;
  }
}
