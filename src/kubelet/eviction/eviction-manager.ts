/**
 * Keeps the node from running out of memory, disk or process ids: looks every 10 s, says on the node what it is short of, takes back what nobody needs, and
 * only then ends pods, one at a time. https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
 */
import type { Pod } from '../../api/kinds.ts';
import { isTolerated } from '../../machinery/tolerations.ts';
import type { Timer, World } from '../../world/world.ts';
import { messageOf } from '../handler.ts';
import { qosClass } from '../qos.ts';
import { withContainerFs } from './derived-thresholds.ts';
import type { Gauge } from './gauge.ts';
import { hasLocalLimit, overLocalLimit } from './local-storage.ts';
import { lowOnResource, nodeHadCondition } from './messages.ts';
import { type Pressure, type PressureCondition, type Readings, conditionOf, noPressure, pressureOf } from './pressure.ts';
import { type Candidate, diskPartsOf, isCriticalPod, rankForEviction, resourceOf } from './rank.ts';
import type { Threshold } from './thresholds.ts';

export interface EvictionSettings {
  readonly thresholds: readonly Threshold[];
  /** How long a condition stays after it last held; 5 min upstream. */
  readonly transitionMs: number;
  /** The most a pod evicted for a soft threshold is given to end. */
  readonly maxGraceSeconds: number;
}

export interface EvictablePod {
  readonly pod: Pod;
  /** Ends it as failed, with reason `Evicted`. */
  evict(message: string, graceSeconds: number): void;
}

export interface EvictionManagerOptions extends EvictionSettings {
  readonly world: World;
  readonly gauge: Gauge;
  /** Those that run or are to run here. */
  readonly pods: () => readonly EvictablePod[];
  /** Takes back disk that nobody needs: dead containers, then images that no container uses. */
  readonly reclaimDisk: () => Promise<void>;
  readonly onConditions: () => void;
  /** A warning on the Node. */
  readonly tell: (reason: string, message: string) => void;
  /** For what a pod was ended. */
  readonly onEviction: (signal: string) => void;
}

export interface EvictionManager {
  readonly conditions: () => ReadonlySet<PressureCondition>;
  /** Why a new pod may not begin on a node that is short of something. */
  refusal(pod: Pod): { readonly reason: string; readonly message: string } | undefined;
  /** Looks now. Resolves when what followed is begun. */
  look(): Promise<void>;
  close(): void;
}

const lookEveryMs = 10_000;
/** What is evicted for a hard threshold ends at once; the signal is sent all the same. */
const hardGraceSeconds = 1;
/** What an evicted pod held is free when nothing of it runs any more; until then, and no longer than this, no other one has to go. */
const departureLimitMs = 30_000;
const departureLookMs = 1000;

/** What is watched, known once it is known where the images lie. */
interface Watch {
  readonly thresholds: readonly Threshold[];
  readonly imagesApart: boolean;
}

interface Departure {
  readonly pods: readonly EvictablePod[];
  readonly sinceMs: number;
}

export function createEvictionManager(options: EvictionManagerOptions): EvictionManager {
  const { world, gauge, pods } = options;
  const log = world.log.child('eviction');
  let pressure: Pressure = { state: noPressure, conditions: new Set(), met: [] };
  let looking: Promise<void> | undefined;
  let watch: Watch | undefined;
  let departure: Departure | undefined;
  let timer: Timer | undefined;
  let closed = false;

  async function watchOf(): Promise<Watch> {
    const imagesApart = await gauge.imagesApart();
    return { imagesApart, thresholds: withContainerFs(options.thresholds, imagesApart) };
  }

  function judge(thresholds: readonly Threshold[], readings: Readings): void {
    const before = pressure.conditions;
    pressure = pressureOf(pressure.state, thresholds, readings, world.clock.now(), options.transitionMs);
    const { conditions } = pressure;
    if (before.size !== conditions.size || [...conditions].some((condition) => !before.has(condition))) options.onConditions();
  }

  /** Ends those that exceed limits of their own, and answers them. */
  async function enforceLocalLimits(): Promise<readonly EvictablePod[]> {
    const limited = pods().filter(({ pod }) => hasLocalLimit(pod));
    if (limited.length === 0) return [];
    const usage = await gauge.usage(limited.map(({ pod }) => pod));
    return limited.filter((subject) => {
      const { pod } = subject;
      const used = usage.get(pod.metadata.uid);
      const exceeded = used && overLocalLimit(pod, used);
      if (exceeded === undefined || isCriticalPod(pod)) return false;
      subject.evict(exceeded.message, hardGraceSeconds);
      options.onEviction(exceeded.signal);
      return true;
    });
  }

  /** Ends the pod that has to go first, and answers it. */
  async function relieve(threshold: Threshold, readings: Readings, imagesApart: boolean): Promise<readonly EvictablePod[]> {
    const all = pods().filter(({ pod }) => !isCriticalPod(pod));
    const usage = await gauge.usage(all.map(({ pod }) => pod));
    const candidates = all.flatMap(({ pod }): Candidate[] => {
      const used = usage.get(pod.metadata.uid);
      return used ? [{ pod, usage: used }] : [];
    });
    const [first] = rankForEviction(candidates, threshold.signal, imagesApart);
    const chosen = all.find(({ pod }) => pod === first?.pod);
    if (!first || !chosen) {
      log.warn('the node is short of a resource, and there is no pod to evict', { signal: threshold.signal });
      return [];
    }
    const most = threshold.graceMs > 0 ? options.maxGraceSeconds : hardGraceSeconds;
    const grace = Math.min(most, first.pod.spec.terminationGracePeriodSeconds ?? 30);
    chosen.evict(lowOnResource(threshold, readings.get(threshold.signal), first), grace);
    options.onEviction(threshold.signal);
    return [chosen];
  }

  /** Whether what nobody needs lies where it is tight. */
  function canReclaim({ signal }: Threshold, imagesApart: boolean): boolean {
    return conditionOf[signal] === 'DiskPressure' && diskPartsOf(signal, imagesApart).includes('layers');
  }

  async function lookNow(): Promise<readonly EvictablePod[]> {
    const { thresholds, imagesApart } = (watch ??= await watchOf());
    let readings = await gauge.read();
    judge(thresholds, readings);
    if (closed) return [];
    const overLimit = await enforceLocalLimits();
    const [threshold] = pressure.met;
    if (overLimit.length > 0 || threshold === undefined || closed) return overLimit;
    options.tell('EvictionThresholdMet', `Attempting to reclaim ${resourceOf[threshold.signal]}`);
    if (canReclaim(threshold, imagesApart)) {
      await options.reclaimDisk();
      readings = await gauge.read();
      // Judged as if nothing had been asked back yet: what is enough is enough.
      const again = pressureOf(pressure.state, thresholds, readings, world.clock.now(), options.transitionMs);
      if (!again.met.includes(threshold)) {
        judge(thresholds, readings);
        return [];
      }
    }
    return closed ? [] : relieve(threshold, readings, imagesApart);
  }

  /** Whether room is on its way: a pod that was evicted has not gone yet. */
  function isAwaited({ pods: leaving, sinceMs }: Departure): boolean {
    if (world.clock.now() - sinceMs >= departureLimitMs) return false;
    const left = new Set(pods().map(({ pod }) => pod.metadata.uid));
    return leaving.some(({ pod }) => left.has(pod.metadata.uid));
  }

  function look(): Promise<void> {
    looking ??= lookNow()
      .then((leaving) => {
        departure = leaving.length === 0 ? undefined : { pods: leaving, sinceMs: world.clock.now() };
      })
      .catch((error: unknown) => log.warn('looking for pressure failed', { error: messageOf(error) }))
      .finally(() => (looking = undefined));
    return looking;
  }

  async function goOn(): Promise<void> {
    if (departure === undefined || !isAwaited(departure)) await look();
    if (!closed) timer = world.clock.after(departure === undefined ? lookEveryMs : departureLookMs, () => void goOn());
  }
  void goOn();

  return {
    conditions: () => pressure.conditions,
    refusal(pod) {
      const { conditions } = pressure;
      if (conditions.size === 0 || isCriticalPod(pod)) return undefined;
      if (conditions.size === 1 && conditions.has('MemoryPressure')) {
        // Who asked for memory has been promised it.
        if (qosClass(pod) !== 'BestEffort') return undefined;
        if (isTolerated({ key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' }, pod.spec.tolerations)) return undefined;
      }
      return { reason: 'Evicted', message: nodeHadCondition(conditions) };
    },
    look,
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}
