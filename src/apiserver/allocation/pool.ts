/**
 * Numbers that at most one owner may hold at a time: the addresses of a service range, or node ports. Who holds what is derived from the stored objects and
 * from writes under way, so nothing can leak and nothing needs repair. As upstream, the lower part of a range is left to those who ask for a number,
 * until the rest is used up.
 */
import type { Random } from '../../world/world.ts';

export class Pool {
  readonly #size: number;
  readonly #firstDynamic: number;
  readonly #random: Random;
  /** By number: the owners, as stored or about to be. More than one only for a moment, or when stored so by others. */
  readonly #owners = new Map<number, Set<string>>();

  /** Numbers from 0 below `size`; those below `firstDynamic` are given out last. */
  constructor(size: number, firstDynamic: number, random: Random) {
    this.#size = size;
    this.#firstDynamic = firstDynamic;
    this.#random = random;
  }

  isFree(number: number): boolean {
    return !this.#owners.has(number);
  }

  hold(number: number, owner: string): void {
    const owners = this.#owners.get(number);
    if (owners) owners.add(owner);
    else this.#owners.set(number, new Set([owner]));
  }

  release(number: number, owner: string): void {
    const owners = this.#owners.get(number);
    if (owners?.delete(owner) && owners.size === 0) this.#owners.delete(number);
  }

  /** A free number, or undefined when all are held. */
  pick(): number | undefined {
    return this.#pickBetween(this.#firstDynamic, this.#size) ?? this.#pickBetween(0, this.#firstDynamic);
  }

  #pickBetween(from: number, to: number): number | undefined {
    const count = to - from;
    if (count <= 0) return undefined;
    const start = this.#random.int(count);
    for (let i = 0; i < count; i++) {
      const number = from + ((start + i) % count);
      if (this.isFree(number)) return number;
    }
    return undefined;
  }
}

/** How many of the lowest numbers to leave to those who ask for one: upstream's `calculateRangeOffset`, between `min` and `max`. */
export function staticBand(size: number, min: number, step: number, max: number): number {
  if (size < min) return 0;
  return Math.min(Math.max(min, Math.floor(size / step)), max);
}
