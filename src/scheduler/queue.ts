/**
 * Pods waiting for a node, in upstream's three places: active (to try now, highest priority first), backing off (tried lately), and unschedulable
 * (waiting for an event that could help, by what each plugin says helps it). Pods that a gate holds are kept with the unschedulable ones.
 */
import type { Clock, Timer } from '../world/world.ts';
import type { ClusterEvent, Plugin } from './plugin.ts';
import type { PodInfo } from './snapshot.ts';

const firstBackoffMs = 1_000;
const longestBackoffMs = 10_000;
/** Hints are never trusted for ever: what waited this long is tried again. */
const longestWaitMs = 5 * 60_000;

interface Entry {
  info: PodInfo;
  /** Order among equals: when it first came. */
  readonly sequence: number;
  attempts: number;
  place: 'active' | 'backoff' | 'unschedulable' | 'in-flight';
  /** For `backoff` and `unschedulable`: when it last failed. */
  failedAtMs: number;
  refusedBy: ReadonlySet<string>;
}

export class SchedulingQueue {
  private readonly entries = new Map<string, Entry>();
  private readonly active = new Heap();
  private readonly plugins: readonly Plugin[];
  private readonly clock: Clock;
  private readonly onReady: () => void;
  private readonly helps: ReadonlyMap<string, readonly ClusterEvent[]>;
  private readonly flush: Timer;
  private sequence = 0;

  /** `onReady` is called when something may be popped. */
  constructor(plugins: readonly Plugin[], clock: Clock, onReady: () => void) {
    this.plugins = plugins;
    this.clock = clock;
    this.onReady = onReady;
    this.helps = new Map(plugins.map((plugin) => [plugin.name, plugin.helpedBy]));
    this.flush = clock.every(30_000, () => this.moveOverdue());
  }

  /** Why the pod may not be tried at all yet; undefined when it may. */
  heldBecause(info: PodInfo): { plugin: string; message: string } | undefined {
    for (const plugin of this.plugins) {
      const message = plugin.hold?.(info);
      if (message !== undefined) return { plugin: plugin.name, message };
    }
    return undefined;
  }

  /** A new pod, or a changed one. A change may help a pod that was refused. */
  put(info: PodInfo): void {
    const known = this.entries.get(info.key);
    if (!known) {
      const entry: Entry = { info, sequence: ++this.sequence, attempts: 0, place: 'unschedulable', failedAtMs: 0, refusedBy: new Set() };
      this.entries.set(info.key, entry);
      this.activateUnlessHeld(entry);
      return;
    }
    const specChanged = known.info.pod.metadata.generation !== info.pod.metadata.generation || known.info.pod.spec !== info.pod.spec;
    known.info = info;
    if (known.place === 'unschedulable' && specChanged && this.helpedBy(known, 'pod-changed')) this.activateUnlessHeld(known);
  }

  /** The pod is gone, or has a node. */
  remove(key: string): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.entries.delete(key);
    this.active.remove(entry);
  }

  /** The next pod to try; it is in flight until `refused`, `failed` or `remove` says how it went. */
  pop(): PodInfo | undefined {
    const entry = this.active.pop();
    if (!entry) return undefined;
    entry.place = 'in-flight';
    entry.attempts++;
    return entry.info;
  }

  /** No node would do; waits for an event that helps one of these plugins. */
  refused(key: string, plugins: ReadonlySet<string>): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    Object.assign(entry, { place: 'unschedulable', failedAtMs: this.clock.now(), refusedBy: plugins } satisfies Partial<Entry>);
  }

  /** Something went wrong on the way (a binding refused, a server error): tried again after its back-off. */
  failed(key: string): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    entry.failedAtMs = this.clock.now();
    this.backOff(entry);
  }

  /** Something happened to the cluster: those it could help go on. */
  happened(event: ClusterEvent): void {
    for (const entry of this.entries.values()) {
      if (entry.place === 'unschedulable' && this.helpedBy(entry, event)) this.activateUnlessHeld(entry);
    }
  }

  /** How many wait where, for metrics. */
  sizes(): Readonly<Record<Entry['place'], number>> {
    const sizes = { active: 0, backoff: 0, unschedulable: 0, 'in-flight': 0 };
    for (const entry of this.entries.values()) sizes[entry.place]++;
    return sizes;
  }

  close(): void {
    this.flush.cancel();
    this.entries.clear();
  }

  private helpedBy(entry: Entry, event: ClusterEvent): boolean {
    for (const plugin of entry.refusedBy) if (this.helps.get(plugin)?.includes(event) === true) return true;
    return false;
  }

  private activateUnlessHeld(entry: Entry): void {
    const held = this.heldBecause(entry.info);
    if (held) {
      entry.place = 'unschedulable';
      entry.failedAtMs = this.clock.now();
      entry.refusedBy = new Set([held.plugin]);
    } else if (entry.attempts > 0) {
      this.backOff(entry);
    } else {
      this.activate(entry);
    }
  }

  private backOff(entry: Entry): void {
    const backoffMs = Math.min(firstBackoffMs * 2 ** (entry.attempts - 1), longestBackoffMs);
    const leftMs = entry.failedAtMs + backoffMs - this.clock.now();
    if (leftMs <= 0) {
      this.activate(entry);
      return;
    }
    entry.place = 'backoff';
    this.clock.after(leftMs, () => {
      if (entry.place === 'backoff' && this.entries.get(entry.info.key) === entry) this.activate(entry);
    });
  }

  private activate(entry: Entry): void {
    entry.place = 'active';
    this.active.push(entry);
    this.onReady();
  }

  private moveOverdue(): void {
    const now = this.clock.now();
    for (const entry of this.entries.values()) {
      if (entry.place === 'unschedulable' && now - entry.failedAtMs >= longestWaitMs) this.activateUnlessHeld(entry);
    }
  }
}

/** Highest priority first, then first come. A binary heap; removal only marks, so that it costs nothing. */
class Heap {
  private readonly items: Entry[] = [];
  private readonly removed = new Set<Entry>();

  push(entry: Entry): void {
    this.removed.delete(entry);
    let index = this.items.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.swapIfBefore(index, parent)) break;
      index = parent;
    }
  }

  pop(): Entry | undefined {
    for (;;) {
      const first = this.items[0];
      if (!first) return undefined;
      const last = this.items.pop();
      if (last && this.items.length > 0) {
        this.items[0] = last;
        this.sink();
      }
      if (!this.removed.delete(first)) return first;
    }
  }

  remove(entry: Entry): void {
    if (entry.place === 'active') this.removed.add(entry);
  }

  private sink(): void {
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const [left, right] = [this.items[child], this.items[child + 1]];
      if (!left) return;
      if (right && before(right, left)) child++;
      if (!this.swapIfBefore(child, index)) return;
      index = child;
    }
  }

  private swapIfBefore(a: number, b: number): boolean {
    const [itemA, itemB] = [this.items[a], this.items[b]];
    if (!itemA || !itemB || !before(itemA, itemB)) return false;
    this.items[a] = itemB;
    this.items[b] = itemA;
    return true;
  }
}

function before(a: Entry, b: Entry): boolean {
  const [priorityA, priorityB] = [a.info.pod.spec.priority ?? 0, b.info.pod.spec.priority ?? 0];
  return priorityA === priorityB ? a.sequence < b.sequence : priorityA > priorityB;
}
