/**
 * What a controller asked for and its cache has not shown yet, as client-go's controller expectations: until they are met (or five minutes have
 * passed), counting the cache again would create or delete the same pods twice.
 */
import type { World } from '../world/world.ts';

const timeoutMs = 5 * 60_000;

interface Expected {
  creations: number;
  readonly deletions: Set<string>;
  readonly sinceMs: number;
}

export class Expectations {
  private readonly expected = new Map<string, Expected>();
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  satisfied(key: string): boolean {
    return this.leftMs(key) === 0;
  }

  /** Ms until what has not shown up is given up; 0 when everything has. What came and went unseen never shows up: who waits must look again by then. */
  leftMs(key: string): number {
    const expected = this.expected.get(key);
    if (!expected || (expected.creations <= 0 && expected.deletions.size === 0)) return 0;
    return Math.max(0, expected.sinceMs + timeoutMs - this.world.clock.now());
  }

  expectCreations(key: string, count: number): void {
    this.expected.set(key, { creations: count, deletions: new Set(), sinceMs: this.world.clock.now() });
  }

  expectDeletions(key: string, uids: readonly string[]): void {
    this.expected.set(key, { creations: 0, deletions: new Set(uids), sinceMs: this.world.clock.now() });
  }

  /** Both at once, for those who create and delete in one pass. */
  expect(key: string, creations: number, uids: readonly string[]): void {
    this.expected.set(key, { creations, deletions: new Set(uids), sinceMs: this.world.clock.now() });
  }

  /** Also called for creations that failed or were given up: nothing will show up for them. */
  creationObserved(key: string, count = 1): void {
    const expected = this.expected.get(key);
    if (expected) expected.creations -= count;
  }

  deletionObserved(key: string, uid: string): void {
    this.expected.get(key)?.deletions.delete(uid);
  }

  forget(key: string): void {
    this.expected.delete(key);
  }
}
