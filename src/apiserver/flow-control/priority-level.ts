/**
 * One priority level: so many seats at a time, and bounded queues for those who come when all are taken. Each flow is dealt a hand of queues by its hash
 * (shuffle sharding), so a flood fills its own few and leaves others' alone; seats that come free go to the queues in turn.
 * See https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
 */
import { createHash } from 'node:crypto';
import { serviceUnavailable, tooManyRequests } from '../../machinery/errors.ts';
import type { Clock, Timer } from '../../world/world.ts';

export interface LevelSettings {
  readonly name: string;
  readonly uid: string;
  /** Nobody waits, and nobody counts. */
  readonly exempt: boolean;
  readonly seats: number;
  /** How many of its seats others may have while they are idle. */
  readonly lendable: number;
  /** How many of others' seats it may have. */
  readonly borrowable: number;
  /** No queues: who finds no seat is refused at once. */
  readonly queues: number;
  readonly handSize: number;
  readonly queueLength: number;
}

interface Waiting {
  readonly start: () => void;
  readonly refuse: (error: Error) => void;
  readonly timer: Timer;
}

interface Queue {
  readonly waiting: Waiting[];
}

/** As upstream: a quarter of the time a request has in all. */
const longestWaitMs = 15_000;

export class PriorityLevel {
  settings: LevelSettings;
  inUse = 0;
  private readonly clock: Clock;
  /** Idle seats of other levels that this one may have now. */
  private readonly idleElsewhere: (asking: PriorityLevel) => number;
  private queues: Queue[] = [];
  private waitingCount = 0;
  private turn = 0;
  rejected = 0;
  dispatched = 0;

  constructor(settings: LevelSettings, clock: Clock, idleElsewhere: (asking: PriorityLevel) => number) {
    this.settings = settings;
    this.clock = clock;
    this.idleElsewhere = idleElsewhere;
  }

  get waiting(): number {
    return this.waitingCount;
  }

  /** Takes a seat if one is free and nobody waits for it. */
  tryEnter(): boolean {
    if (this.settings.exempt) return true;
    if (this.inUse >= this.settings.seats && !this.mayBorrow()) return false;
    if (this.waitingCount > 0) return false;
    this.inUse++;
    this.dispatched++;
    return true;
  }

  /** Waits for a seat. Rejects with a 429 when the flow's queues are full, or after too long. */
  enter(flow: string): Promise<void> {
    const queue = this.shortestOf(this.handOf(flow));
    if (queue === undefined || queue.waiting.length >= this.settings.queueLength) {
      this.rejected++;
      return Promise.reject(busy());
    }
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(longestWaitMs, () => {
        const at = queue.waiting.indexOf(entry);
        if (at < 0) return;
        queue.waiting.splice(at, 1);
        this.waitingCount--;
        this.rejected++;
        reject(busy());
      });
      const entry: Waiting = { start: resolve, refuse: reject, timer };
      queue.waiting.push(entry);
      this.waitingCount++;
    });
  }

  /** Gives a seat back; whoever waits longest in the queue whose turn it is gets it. */
  leave(): void {
    if (this.settings.exempt) return;
    this.inUse--;
    this.dispatch();
  }

  /** Lets in whom there are seats for: after a seat, or settings, came. */
  dispatch(): void {
    while (this.waitingCount > 0 && (this.inUse < this.settings.seats || this.mayBorrow())) {
      const next = this.nextInTurn();
      if (next === undefined) return;
      next.timer.cancel();
      this.inUse++;
      this.dispatched++;
      next.start();
    }
  }

  /** Refuses all who wait: the server is closing. */
  close(): void {
    for (const { waiting } of this.queues) {
      for (const { timer, refuse } of waiting.splice(0)) {
        timer.cancel();
        refuse(serviceUnavailable('the server is closing'));
      }
    }
    this.waitingCount = 0;
  }

  private mayBorrow(): boolean {
    const borrowed = this.inUse - this.settings.seats;
    return borrowed < this.settings.borrowable && borrowed < this.idleElsewhere(this);
  }

  private nextInTurn(): Waiting | undefined {
    for (let i = 0; i < this.queues.length; i++) {
      this.turn = (this.turn + 1) % this.queues.length;
      const next = this.queues[this.turn]?.waiting.shift();
      if (next === undefined) continue;
      this.waitingCount--;
      return next;
    }
    return undefined;
  }

  private handOf(flow: string): Queue[] {
    const { queues: count, handSize } = this.settings;
    // Queues are only added: those who wait in one that is no longer dealt are still served.
    while (this.queues.length < count) this.queues.push({ waiting: [] });
    return dealHand(flow, count, handSize).flatMap((index) => this.queues[index] ?? []);
  }

  private shortestOf(hand: readonly Queue[]): Queue | undefined {
    let shortest: Queue | undefined;
    for (const queue of hand) if (shortest === undefined || queue.waiting.length < shortest.waiting.length) shortest = queue;
    return shortest;
  }
}

/** `handSize` different numbers below `deckSize`, always the same for a flow. */
export function dealHand(flow: string, deckSize: number, handSize: number): number[] {
  let rest = createHash('sha256').update(flow).digest().readBigUInt64LE();
  const hand: number[] = [];
  for (let i = 0; i < Math.min(handSize, deckSize); i++) {
    const left = BigInt(deckSize - i);
    let card = Number(rest % left);
    rest /= left;
    // The card-th of those not dealt yet.
    for (const dealt of hand.toSorted((a, b) => a - b)) if (card >= dealt) card++;
    hand.push(card);
  }
  return hand;
}

function busy(): Error {
  return tooManyRequests('Too many requests, please try again later.', 1);
}
