/**
 * One priority level: so many seats at a time, and bounded queues for those who come when all are taken. Each flow is dealt a hand of queues by its hash
 * (shuffle sharding), so a flood fills its own few and leaves others' alone; seats that come free go to the queue that has had least (start-time fair
 * queuing, by seats). See https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
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

/** Who waits, for people to look at. */
export interface WaitingRequest {
  readonly schema: string;
  readonly distinguisher: string;
  readonly arrivedMs: number;
  readonly seats: number;
  /** What was asked, as given to {@link PriorityLevel.enter}. */
  readonly about: unknown;
}

interface Waiting extends WaitingRequest {
  readonly start: () => void;
  readonly refuse: (error: Error) => void;
  readonly timer: Timer;
}

interface Queue {
  readonly waiting: Waiting[];
  /** What it has had so far, in seats, on the level's virtual clock: the least goes next. */
  virtualStart: number;
}

/** A request's place in the queues. */
export interface Flow {
  readonly schema: string;
  readonly distinguisher: string;
}

/** As upstream: a quarter of the time a request has in all. */
const longestWaitMs = 15_000;

export class PriorityLevel {
  settings: LevelSettings;
  inUse = 0;
  /** Requests that hold these seats. */
  executing = 0;
  private readonly clock: Clock;
  /** Idle seats of other levels that this one may have now. */
  private readonly idleElsewhere: (asking: PriorityLevel) => number;
  private queues: Queue[] = [];
  private waitingCount = 0;
  private virtualTime = 0;
  rejected = 0;
  dispatched = 0;
  timedOut = 0;

  constructor(settings: LevelSettings, clock: Clock, idleElsewhere: (asking: PriorityLevel) => number) {
    this.settings = settings;
    this.clock = clock;
    this.idleElsewhere = idleElsewhere;
  }

  get waiting(): number {
    return this.waitingCount;
  }

  /** Each queue and who waits in it. */
  waitingByQueue(): readonly (readonly WaitingRequest[])[] {
    return this.queues.map(({ waiting }) => waiting);
  }

  /** Each queue's place on the virtual clock. */
  virtualStarts(): readonly number[] {
    return this.queues.map(({ virtualStart }) => virtualStart);
  }

  /** Takes seats if they are free and nobody waits for them. */
  tryEnter(seats = 1): boolean {
    if ((this.waitingCount > 0 && !this.settings.exempt) || !this.hasRoomFor(seats)) return false;
    this.take(seats);
    return true;
  }

  /** Waits for seats. Rejects with a 429 when the flow's queues are full, or after too long. */
  enter(flow: Flow, seats = 1, about?: unknown): Promise<void> {
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
        this.timedOut++;
        reject(busy());
      });
      const entry: Waiting = { ...flow, arrivedMs: this.clock.now(), seats, about, start: resolve, refuse: reject, timer };
      // Who was away does not get what it did not use.
      if (queue.waiting.length === 0) queue.virtualStart = Math.max(queue.virtualStart, this.virtualTime);
      queue.waiting.push(entry);
      this.waitingCount++;
    });
  }

  /** Gives seats back; the queue that has had least gets them. */
  leave(seats = 1): void {
    this.executing--;
    this.inUse -= seats;
    this.dispatch();
  }

  /** Lets in whom there are seats for: after a seat, or settings, came. */
  dispatch(): void {
    while (this.waitingCount > 0) {
      const queue = this.nextQueue();
      const next = queue?.waiting[0];
      // The widest is not passed by: it would wait for ever behind narrow ones.
      if (queue === undefined || next === undefined || !this.hasRoomFor(next.seats)) return;
      queue.waiting.shift();
      this.waitingCount--;
      this.virtualTime = queue.virtualStart;
      queue.virtualStart += next.seats;
      next.timer.cancel();
      this.take(next.seats);
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

  private take(seats: number): void {
    this.inUse += seats;
    this.executing++;
    this.dispatched++;
  }

  private hasRoomFor(seats: number): boolean {
    if (this.settings.exempt) return true;
    const over = this.inUse + seats - this.settings.seats;
    if (over <= 0) return true;
    // A request wider than the level has seats goes alone.
    if (this.inUse === 0 && this.settings.seats > 0) return true;
    return over <= this.settings.borrowable && over <= this.idleElsewhere(this);
  }

  private nextQueue(): Queue | undefined {
    let least: Queue | undefined;
    for (const queue of this.queues) {
      if (queue.waiting.length > 0 && (least === undefined || queue.virtualStart < least.virtualStart)) least = queue;
    }
    return least;
  }

  private handOf({ schema, distinguisher }: Flow): Queue[] {
    const { queues: count, handSize } = this.settings;
    // Queues are only added: those who wait in one that is no longer dealt are still served.
    while (this.queues.length < count) this.queues.push({ waiting: [], virtualStart: this.virtualTime });
    return dealHand(`${schema}\0${distinguisher}`, count, handSize).flatMap((index) => this.queues[index] ?? []);
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
