/** Answers remembered for a while: at most so many, the oldest go first. */
import type { World } from '../world/world.ts';

export class ExpiringCache<T> {
  private readonly world: World;
  private readonly bound: number;
  private readonly entries = new Map<string, { readonly value: T; readonly untilMs: number }>();

  constructor(world: World, bound: number) {
    this.world = world;
    this.bound = bound;
  }

  get(key: string): T | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.world.clock.now()) return entry.value;
    this.entries.delete(key);
    return undefined;
  }

  set(key: string, value: T, forMs: number): void {
    if (forMs <= 0) return;
    this.entries.delete(key);
    const [oldest] = this.entries.size >= this.bound ? this.entries.keys() : [];
    if (oldest !== undefined) this.entries.delete(oldest);
    this.entries.set(key, { value, untilMs: this.world.clock.now() + forMs });
  }
}
