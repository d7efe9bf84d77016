/** Which taints a node's condition calls for: pure functions. Upstream's `node_lifecycle_controller.go`. */
import type { Node } from '../../api/kinds.ts';
import type { V1Taint } from '../../api/types.ts';
import { conditionOf } from '../conditions.ts';
import type { EvictionPace } from '../controller.ts';

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';

export type NodeHealth = 'True' | 'False' | 'Unknown';

/** By condition type and status, the key of the taint that keeps new pods away. */
const noScheduleTaints: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: notReadyTaint, Unknown: unreachableTaint },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
};
const unschedulableTaint = 'node.kubernetes.io/unschedulable';
const conditionTaints: ReadonlySet<string> = new Set([
  unschedulableTaint,
  ...Object.values(noScheduleTaints).flatMap((byStatus) => Object.values(byStatus)),
]);

/** Undefined while the node has never said. */
export function healthOf(node: Node): NodeHealth | undefined {
  const status = conditionOf(node.status.conditions, 'Ready')?.status;
  return status === 'True' || status === 'False' || status === 'Unknown' ? status : undefined;
}

/**
 * The node's taints as they should be: of those kept here exactly the ones its condition calls for, all others as they are. `evict` says whether a
 * node that is not ready may drive its pods out now.
 */
export function wantedTaints(node: Node, evict: boolean, now: string): V1Taint[] {
  const current = node.spec.taints ?? [];
  const noSchedule = new Set<string>();
  for (const { type, status } of node.status.conditions ?? []) {
    const key = noScheduleTaints[type]?.[status];
    if (key !== undefined) noSchedule.add(key);
  }
  if (node.spec.unschedulable) noSchedule.add(unschedulableTaint);

  const noExecute = noExecuteTaint(node, evict);
  const kept = current.filter(({ key, effect }) => {
    if (effect === 'NoSchedule' && conditionTaints.has(key)) return noSchedule.has(key);
    if (effect === 'NoExecute' && (key === notReadyTaint || key === unreachableTaint)) return key === noExecute;
    return true;
  });
  const has = (key: string, effect: string): boolean => kept.some((taint) => taint.key === key && taint.effect === effect);
  const added: V1Taint[] = [...noSchedule].filter((key) => !has(key, 'NoSchedule')).map((key) => ({ key, effect: 'NoSchedule', timeAdded: now }));
  if (noExecute !== undefined && !has(noExecute, 'NoExecute')) added.push({ key: noExecute, effect: 'NoExecute', timeAdded: now });
  return [...kept, ...added];
}

function noExecuteTaint(node: Node, evict: boolean): string | undefined {
  const health = healthOf(node);
  if (!evict || health === undefined || health === 'True') return undefined;
  return health === 'False' ? notReadyTaint : unreachableTaint;
}

/** How a zone's nodes do, which says how fast pods may be driven out: a broken network looks like many broken nodes. */
export type ZoneState = 'normal' | 'partial' | 'full';

/** Counts nodes by zone and health as they come, change and go, so that nobody has to look at all of them to know how a zone does. */
export class ZoneTally {
  private readonly zones = new Map<string, { ready: number; notReady: number }>();
  private allReady = 0;
  private readonly pace: EvictionPace;

  constructor(pace: EvictionPace) {
    this.pace = pace;
  }

  count(node: Node, by: 1 | -1): void {
    const health = healthOf(node);
    if (health === undefined) return;
    const zone = zoneOf(node);
    const counts = this.zones.get(zone) ?? { ready: 0, notReady: 0 };
    this.zones.set(zone, counts);
    counts[health === 'True' ? 'ready' : 'notReady'] += by;
    if (health === 'True') this.allReady += by;
  }

  state(zone: string): ZoneState {
    const { ready, notReady } = this.zones.get(zone) ?? { ready: 0, notReady: 0 };
    if (ready === 0 && notReady > 0) return 'full';
    return notReady > 2 && notReady / (notReady + ready) >= this.pace.unhealthyZoneThreshold ? 'partial' : 'normal';
  }

  size(zone: string): number {
    const { ready, notReady } = this.zones.get(zone) ?? { ready: 0, notReady: 0 };
    return ready + notReady;
  }

  /** When no node answers, it is us who are cut off. */
  anyReady(): boolean {
    return this.allReady > 0;
  }

  /** Changes when what is decided about other nodes of the zone may change. */
  outlook(zone: string): string {
    return `${this.anyReady()}/${this.state(zone)}`;
  }
}

/** Ms between one node and the next whose pods may be driven out; Infinity for none at all. */
export function evictionPauseMs(state: ZoneState, nodes: number, { rate, secondaryRate, largeClusterSize }: EvictionPace): number {
  if (state !== 'partial') return 1000 / rate;
  return nodes > largeClusterSize ? 1000 / secondaryRate : Infinity;
}

/** Its pods were told to go before: a controller that starts anew does not take that back. */
export function isEvicting({ spec }: Node): boolean {
  return (spec.taints ?? []).some(({ key, effect }) => effect === 'NoExecute' && (key === notReadyTaint || key === unreachableTaint));
}

export function zoneOf({ metadata }: Node): string {
  return `${metadata.labels?.['topology.kubernetes.io/region'] ?? ''}/${metadata.labels?.['topology.kubernetes.io/zone'] ?? ''}`;
}
