/** Deletes keys when their time has come, as etcd's leases do: a timer for the next one, and so many at once that other commits find room between. */
import type { Clock, Timer } from '../world/world.ts';
import { type Expiring, ExpiryQueue } from './expiry-queue.ts';
import { StoreFailure } from './store.ts';

const maxAtOnce = 500;
const retryMs = 5_000;

export interface ExpiringKeys {
  /** Whether the key has not been written since. */
  readonly isCurrent: (entry: Expiring) => boolean;
  /** Deletes the key if nobody has written it since. Rejects with a `StoreFailure` when the medium does, and with a `Conflict` when somebody has. */
  readonly remove: (entry: Expiring) => Promise<void>;
}

export class Expiry {
  readonly #clock: Clock | undefined;
  readonly #keys: ExpiringKeys;
  readonly #queue: ExpiryQueue;
  #timer: Timer | undefined;
  #timerMs = Infinity;
  #isRemoving = false;
  #isStopped = false;

  /** Without a clock nothing expires. */
  constructor(clock: Clock | undefined, keys: ExpiringKeys) {
    this.#clock = clock;
    this.#keys = keys;
    this.#queue = new ExpiryQueue(keys.isCurrent);
  }

  /** The key is looked at when {@link arm} is called next. */
  add(entry: Expiring): void {
    this.#queue.add(entry);
  }

  /** Removes what is due, and waits for what is due next. */
  arm(): void {
    const nextMs = this.#queue.nextMs();
    if (!this.#clock || this.#isStopped || this.#isRemoving || nextMs === undefined) return;
    const inMs = nextMs - this.#clock.now();
    if (inMs <= 0) {
      void this.#removeDue(this.#clock);
      return;
    }
    if (nextMs >= this.#timerMs) return;
    this.#timer?.cancel();
    this.#timerMs = nextMs;
    this.#timer = this.#clock.after(inMs, () => {
      this.#timerMs = Infinity;
      this.arm();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #removeDue(clock: Clock): Promise<void> {
    this.#isRemoving = true;
    const due = this.#queue.takeDue(clock.now(), maxAtOnce);
    await Promise.all(
      due.map(async (entry) => {
        try {
          await this.#keys.remove(entry);
        } catch (error) {
          // A conflict: it was written again, with a time of its own. After a failure of the medium it comes back later.
          if (error instanceof StoreFailure) this.#queue.add({ ...entry, expiresAtMs: clock.now() + retryMs });
        }
      }),
    );
    this.#isRemoving = false;
    this.arm();
  }
}
