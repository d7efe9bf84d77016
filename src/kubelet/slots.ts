/** At most so many at a time; the others wait in the order they came. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** Any number when `count` is 0. */
  constructor(count: number) {
    this.#free = count === 0 ? Infinity : count;
  }

  /** Resolves with what gives the place back. */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let isGiven = false;
    return () => {
      if (isGiven) return;
      isGiven = true;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    };
  }
}
