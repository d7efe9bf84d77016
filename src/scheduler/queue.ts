/**
 * Pods waiting for a node, in upstream's three places: active (to try now, the most important first), backing off (tried lately), and unschedulable (waiting for an
 * event that could help, by what each plugin says helps it). What happens while a pod is being tried is remembered until it is known how that went, so that
 * the one event that would have helped is never the one that is missed.
 */
import type { Clock, Timer } from '../world/world.ts';
import type { ClusterEvent } from './cluster-event.ts';
import type { SchedulerObserver } from './observer.ts';
import type { PodInfo } from './pod-info.ts';
import type { Plugin, QueuedPod } from './plugin.ts';
import { PriorityHeap } from './priority-heap.ts';
import type { Profile } from './profile.ts';

/** Hints are never trusted for ever: what waited this long is tried again. */
const longestWaitMs = 5 * 60_000;
const flushEveryMs = 30_000;
/** Events remembered for pods being tried; a pod that misses more than these is tried again whatever they were. */
const maxRemembered = 10_000;

/** Why a pod came to wait where it does, in upstream's words; otherwise the name of the event that helped. */
const attemptFailed = 'ScheduleAttemptFailure';
const forced = 'ForceActivate';

type Place = 'active' | 'backoff' | 'unschedulable' | 'in-flight';

interface Entry extends QueuedPod {
  info: PodInfo;
  readonly sequence: number;
  attempts: number;
  /** When the first attempt began; 0 before. */
  firstTriedAtMs: number;
  place: Place;
  /** For `backoff` and `unschedulable`: when it last failed. */
  failedAtMs: number;
  /** It failed by an error, not by a decision: its back-off is waited for even if there is nothing else to do. */
  byError: boolean;
  refusedBy: ReadonlySet<string>;
  /** A plugin's `preEnqueue` kept it from going on. */
  held: boolean;
  /** For `in-flight`: the number of the first event it might have missed. */
  since: number;
  timer: Timer | undefined;
}

export interface Held {
  readonly plugin: string;
  readonly message: string;
}

export interface QueueOptions {
  readonly profileOf: (info: PodInfo) => Profile | undefined;
  readonly compare: NonNullable<Plugin['compare']>;
  readonly clock: Clock;
  /** Called when something may be popped. */
  readonly onReady: () => void;
  readonly initialBackoffMs?: number;
  readonly maxBackoffMs?: number;
  readonly observer?: Pick<SchedulerObserver, 'incoming'>;
}

export class SchedulingQueue {
  private readonly options: QueueOptions;
  private readonly entries = new Map<string, Entry>();
  private readonly active: PriorityHeap<Entry>;
  private readonly backingOff = new Set<Entry>();
  private readonly unschedulable = new Set<Entry>();
  private readonly flush: Timer;
  private inFlight = 0;
  private recent: ClusterEvent[] = [];
  /** The number of the first event in `recent`. */
  private firstRecent = 0;
  private sequence = 0;

  constructor(options: QueueOptions) {
    this.options = options;
    this.active = new PriorityHeap<Entry>(options.compare);
    this.flush = options.clock.every(flushEveryMs, () => this.moveOverdue());
  }

  /** Why the pod may not be tried at all yet; undefined when it may. */
  heldBecause(info: PodInfo): Held | undefined {
    for (const plugin of this.options.profileOf(info)?.preEnqueue ?? []) {
      const message = plugin.preEnqueue?.(info);
      if (message !== undefined) return { plugin: plugin.name, message };
    }
    return undefined;
  }

  /** A new pod, or a changed one: `events` say what about it changed that could help. */
  put(info: PodInfo, events: readonly ClusterEvent[] = []): void {
    const known = this.entries.get(info.key);
    if (!known || known.info.pod.metadata.uid !== info.pod.metadata.uid) {
      if (known) this.remove(info.key);
      const entry: Entry = {
        info,
        sequence: ++this.sequence,
        attempts: 0,
        firstTriedAtMs: 0,
        place: 'unschedulable',
        failedAtMs: this.options.clock.now(),
        byError: false,
        refusedBy: new Set(),
        held: false,
        since: 0,
        timer: undefined,
      };
      this.entries.set(info.key, entry);
      this.activateUnlessHeld(entry, 'UnschedulablePodAdd');
      return;
    }
    if (known.place === 'active' && known.info.priority !== info.priority) {
      this.active.remove(known);
      known.info = info;
      this.active.push(known);
    }
    known.info = info;
    for (const event of events) {
      if (known.place === 'in-flight') this.remember(event);
      if (known.place === 'unschedulable' && this.helps(known, event)) this.activateUnlessHeld(known, event.name);
    }
  }

  /** The pod is gone, or has a node. */
  remove(key: string): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.leave(entry);
    this.entries.delete(key);
  }

  /** The next pod to try; it is in flight until `refused`, `failed` or `remove` says how it went. */
  pop(): PodInfo | undefined {
    const entry = this.active.pop() ?? this.soonestBackingOff();
    if (!entry) return undefined;
    if (entry.place === 'backoff') this.leave(entry);
    entry.place = 'in-flight';
    if (entry.attempts++ === 0) entry.firstTriedAtMs = this.options.clock.now();
    entry.since = this.firstRecent + this.recent.length;
    this.inFlight++;
    return entry.info;
  }

  /** No node would do; waits for an event that helps one of these plugins. */
  refused(key: string, plugins: ReadonlySet<string>): void {
    const entry = this.entries.get(key);
    if (entry?.place !== 'in-flight') return;
    const missed = this.missedBy(entry);
    this.leave(entry);
    Object.assign(entry, { failedAtMs: this.options.clock.now(), byError: false, refusedBy: plugins } satisfies Partial<Entry>);
    this.rest(entry);
    if (missed === 'too many' || missed.some((event) => this.helps(entry, event))) this.activateUnlessHeld(entry, attemptFailed);
    else this.options.observer?.incoming('unschedulable', attemptFailed);
  }

  /** Something went wrong on the way (a binding refused, a server error): tried again after its back-off. */
  failed(key: string): void {
    const entry = this.entries.get(key);
    if (entry?.place !== 'in-flight') return;
    this.leave(entry);
    Object.assign(entry, { failedAtMs: this.options.clock.now(), byError: true } satisfies Partial<Entry>);
    this.activateUnlessHeld(entry, attemptFailed);
  }

  /** How often the pod was tried, and since when. */
  tries(key: string): { readonly attempts: number; readonly firstAtMs: number } | undefined {
    const entry = this.entries.get(key);
    return entry && { attempts: entry.attempts, firstAtMs: entry.firstTriedAtMs };
  }

  /** Whether the pod is waiting or being tried. */
  has(key: string): boolean {
    return this.entries.has(key);
  }

  /** What held the pod is over: if it was kept from going on meanwhile, it goes on. */
  release(key: string): void {
    const entry = this.entries.get(key);
    if (entry?.place === 'unschedulable' && entry.held) this.activateUnlessHeld(entry, forced);
  }

  /** The pod is tried again, without an event that says it could help. */
  retry(key: string): void {
    const entry = this.entries.get(key);
    if (entry?.place === 'unschedulable') this.activateUnlessHeld(entry, forced);
  }

  /** Something happened to the cluster: those it could help go on. */
  happened(event: ClusterEvent): void {
    if (this.inFlight > 0) this.remember(event);
    if (this.unschedulable.size === 0) return;
    // Those that are held come back to the end of the set: they are looked at once.
    const waiting = [...this.unschedulable];
    for (const entry of waiting) if (this.helps(entry, event)) this.activateUnlessHeld(entry, event.name);
  }

  /** How many wait where, for metrics. */
  sizes(): Readonly<Record<Place, number>> {
    const { inFlight, backingOff, unschedulable, entries } = this;
    const active = entries.size - inFlight - backingOff.size - unschedulable.size;
    return { active, backoff: backingOff.size, unschedulable: unschedulable.size, 'in-flight': inFlight };
  }

  /** Of the unschedulable: how many may not even be tried. */
  gated(): number {
    let count = 0;
    for (const { held } of this.unschedulable) if (held) count++;
    return count;
  }

  close(): void {
    this.flush.cancel();
    for (const { timer } of this.entries.values()) timer?.cancel();
    this.entries.clear();
  }

  // ---- moving between places

  private leave(entry: Entry): void {
    switch (entry.place) {
      case 'active':
        this.active.remove(entry);
        return;
      case 'backoff':
        entry.timer?.cancel();
        entry.timer = undefined;
        this.backingOff.delete(entry);
        return;
      case 'unschedulable':
        this.unschedulable.delete(entry);
        return;
      case 'in-flight':
        this.inFlight--;
        if (this.inFlight > 0) return;
        this.firstRecent += this.recent.length;
        this.recent = [];
    }
  }

  private rest(entry: Entry): void {
    entry.place = 'unschedulable';
    this.unschedulable.add(entry);
  }

  private activateUnlessHeld(entry: Entry, why: string): void {
    const held = this.heldBecause(entry.info);
    if (entry.place !== 'in-flight') this.leave(entry);
    entry.held = held !== undefined;
    if (held) {
      entry.refusedBy = new Set([held.plugin]);
      this.rest(entry);
      this.options.observer?.incoming('unschedulable', why);
    } else if (entry.attempts > 0) {
      this.backOff(entry, why);
    } else {
      this.activate(entry, why);
    }
  }

  private backOff(entry: Entry, why: string): void {
    const { clock, initialBackoffMs = 1_000, maxBackoffMs = 10_000 } = this.options;
    const backoffMs = Math.min(initialBackoffMs * 2 ** (entry.attempts - 1), maxBackoffMs);
    const leftMs = entry.failedAtMs + backoffMs - clock.now();
    if (leftMs <= 0) {
      this.activate(entry, why);
      return;
    }
    entry.place = 'backoff';
    this.backingOff.add(entry);
    this.options.observer?.incoming('backoff', why);
    entry.timer = clock.after(leftMs, () => {
      this.leave(entry);
      this.activate(entry, 'BackoffComplete');
    });
    // With nothing else to do there is no reason to let it wait.
    if (!entry.byError) this.options.onReady();
  }

  private activate(entry: Entry, why: string): void {
    entry.place = 'active';
    this.active.push(entry);
    this.options.observer?.incoming('active', why);
    this.options.onReady();
  }

  /** As upstream since 1.33: a scheduler that is idle tries those again whose back-off ends first. */
  private soonestBackingOff(): Entry | undefined {
    let soonest: Entry | undefined;
    for (const entry of this.backingOff) {
      if (!entry.byError && (soonest === undefined || this.options.compare(entry, soonest) < 0)) soonest = entry;
    }
    return soonest;
  }

  private moveOverdue(): void {
    const now = this.options.clock.now();
    const waiting = [...this.unschedulable];
    for (const entry of waiting) if (now - entry.failedAtMs >= longestWaitMs) this.activateUnlessHeld(entry, 'UnschedulableTimeout');
  }

  // ---- which event helps whom

  private helps({ info, refusedBy }: Entry, event: ClusterEvent): boolean {
    for (const plugin of this.options.profileOf(info)?.plugins ?? []) {
      if (!refusedBy.has(plugin.name)) continue;
      if (plugin.hints === undefined) return true;
      for (const { on, helps } of plugin.hints) if (on.includes(event.name) && helps?.(info, event) !== false) return true;
    }
    return false;
  }

  private remember(event: ClusterEvent): void {
    this.recent.push(event);
    if (this.recent.length <= maxRemembered) return;
    const dropped = this.recent.length >> 1;
    this.recent = this.recent.slice(dropped);
    this.firstRecent += dropped;
  }

  private missedBy({ since }: Entry): readonly ClusterEvent[] | 'too many' {
    return since < this.firstRecent ? 'too many' : this.recent.slice(since - this.firstRecent);
  }
}
