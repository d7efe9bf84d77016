/**
 * The last two readings of each node. Nodes are read only while somebody wants to know: the first question has them read twice, a second apart, and for some
 * minutes after the last one they are read every 15 s, as upstream's metrics-server always does. A cluster that nobody asks costs nothing.
 */
import type { Node } from '../api/kinds.ts';
import type { Timer, World } from '../world/world.ts';
import { measure, type NodeReading } from './node-reading.ts';

export interface ReadingSource {
  read(node: Node): Promise<NodeReading>;
  /** Whether it tells rates by itself, and costs nothing: then it is asked every time, and nothing is kept. */
  readonly isInstant: boolean;
}

export interface Readings {
  readonly last: NodeReading;
  readonly before: NodeReading | undefined;
}

interface Kept {
  node: Node;
  last: NodeReading | undefined;
  before: NodeReading | undefined;
  reading: Promise<void> | undefined;
}

const everyMs = 15_000;
/** Between the two readings of a first question. */
const firstWindowMs = 1_000;
/** Readings further apart say little of now. */
const longestWindowMs = 90_000;
const interestedMs = 300_000;

export class NodeReadings {
  readonly #world: World;
  readonly #source: ReadingSource;
  readonly #kept = new Map<string, Kept>();
  readonly #closed = new AbortController();
  #timer: Timer | undefined;
  #askedMs = 0;

  constructor(world: World, source: ReadingSource) {
    this.#world = world;
    this.#source = source;
  }

  /** By node; one that cannot be read is left out. Where readings do not tell of all that is wanted (pods that are new), the node is read again. */
  async of(nodes: readonly Node[], tells: (node: Node, readings: Readings) => boolean = () => true): Promise<ReadonlyMap<string, Readings>> {
    this.#askedMs = this.#world.clock.now();
    const found = await Promise.all(nodes.map(async (node) => [node.metadata.name, await this.#fresh(node, tells)] as const));
    this.#keepReading();
    return new Map(found.flatMap(([name, readings]) => (readings === undefined ? [] : [[name, readings]])));
  }

  close(): void {
    this.#closed.abort(new Error('the metrics are closed'));
    this.#timer?.cancel();
  }

  async #fresh(node: Node, tells: (node: Node, readings: Readings) => boolean): Promise<Readings | undefined> {
    const { name } = node.metadata;
    try {
      if (this.#source.isInstant) return { last: await this.#source.read(node), before: undefined };
      const kept = this.#keptOf(node);
      const { clock } = this.#world;
      if (kept.last === undefined || clock.now() - kept.last.node.timeMs >= everyMs) await this.#read(kept);
      if (!isMeasured(kept)) {
        await clock.sleep(firstWindowMs, this.#closed.signal);
        await this.#read(kept);
      }
      const last = kept.last;
      if (last === undefined) return undefined;
      if (clock.now() - last.node.timeMs >= firstWindowMs && !tells(node, { last, before: kept.before })) await this.#read(kept);
      return { last: kept.last ?? last, before: kept.before };
    } catch (error) {
      if (!this.#closed.signal.aborted) {
        this.#world.log
          .child('metrics')
          .warn('a node could not be read', { node: name, error: error instanceof Error ? error.message : String(error) });
      }
      return undefined;
    }
  }

  #keptOf(node: Node): Kept {
    const { name, uid } = node.metadata;
    let kept = this.#kept.get(name);
    if (kept === undefined || kept.node.metadata.uid !== uid) {
      kept = { node, last: undefined, before: undefined, reading: undefined };
      this.#kept.set(name, kept);
    }
    kept.node = node;
    return kept;
  }

  /** Once at a time for each node: whoever comes meanwhile waits for the same. */
  #read(kept: Kept): Promise<void> {
    kept.reading ??= this.#source
      .read(kept.node)
      .then((reading) => {
        // What was kept on the kubelet's side for a moment is no second reading.
        if (kept.last?.node.timeMs === reading.node.timeMs) return;
        kept.before = kept.last;
        kept.last = reading;
      })
      .finally(() => (kept.reading = undefined));
    return kept.reading;
  }

  #keepReading(): void {
    if (this.#source.isInstant || this.#timer !== undefined || this.#closed.signal.aborted) return;
    this.#timer = this.#world.clock.every(everyMs, () => {
      if (this.#world.clock.now() - this.#askedMs > interestedMs) {
        this.#timer?.cancel();
        this.#timer = undefined;
        this.#kept.clear();
        return;
      }
      // One that does not answer now may at the next question, which says so if not.
      for (const kept of this.#kept.values()) void this.#read(kept).catch(() => this.#kept.delete(kept.node.metadata.name));
    });
  }
}

function isMeasured({ last, before }: Kept): boolean {
  if (last === undefined || (before !== undefined && last.node.timeMs - before.node.timeMs > longestWindowMs)) return false;
  return measure(last.node, before?.node) !== undefined;
}
