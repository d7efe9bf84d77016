/**
 * Hints for services with `service.kubernetes.io/topology-mode: Auto`: each zone is given endpoints in proportion to the processors of its nodes, its own first,
 * so that traffic can stay in a zone without overloading it. A pure function; upstream's `topologycache`.
 */
import type { Node, Service } from '../../api/kinds.ts';
import type { V1Endpoint } from '../../api/types.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { isNodeReady } from '../conditions.ts';
import type { EndpointGroup } from './slices.ts';

export const topologyModeAnnotation = 'service.kubernetes.io/topology-mode';
const formerAnnotation = 'service.kubernetes.io/topology-aware-hints';
const zoneLabel = 'topology.kubernetes.io/zone';
const controlPlaneLabels = ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master'];
/** A zone may get so much more traffic than its endpoints' share before hints do more harm than good. */
const overloadThreshold = 0.2;

export function wantsTopologyHints({ metadata: { annotations = {} } }: Service): boolean {
  const mode = annotations[topologyModeAnnotation] ?? annotations[formerAnnotation];
  return mode === 'Auto' || mode === 'auto';
}

/** Processors in each zone, and whether all nodes say what they have and where they are. */
export interface ZoneCapacity {
  readonly milliCpu: ReadonlyMap<string, number>;
  readonly isComplete: boolean;
}

/** Counts nodes that are ready and take work. */
export function zoneCapacity(nodes: readonly Node[]): ZoneCapacity {
  const milliCpu = new Map<string, number>();
  let isComplete = true;
  for (const node of nodes) {
    const { labels = {} } = node.metadata;
    if (controlPlaneLabels.some((label) => label in labels) || !isNodeReady(node)) continue;
    const [zone, cpu] = [labels[zoneLabel] ?? '', node.status.allocatable?.['cpu']];
    if (zone === '' || cpu === undefined) isComplete = false;
    else milliCpu.set(zone, (milliCpu.get(zone) ?? 0) + parseQuantity(cpu).milliValue());
  }
  return { milliCpu, isComplete };
}

/** The groups of one address family with hints on their ready endpoints, or why there can be none. */
export type HintedGroups = { readonly groups: readonly EndpointGroup[] } | { readonly refusal: string };

interface Share {
  readonly minimum: number;
  readonly desired: number;
}

export function withTopologyHints(groups: readonly EndpointGroup[], capacity: ZoneCapacity): HintedGroups {
  const ready = groups.flatMap(({ endpoints }) => endpoints.filter(({ conditions }) => conditions?.ready === true));
  if (!capacity.isComplete || capacity.milliCpu.size === 0) {
    return { refusal: 'Insufficient Node information: allocatable CPU or zone not specified on one or more nodes' };
  }
  if (capacity.milliCpu.size < 2) return { refusal: 'Nodes only ready in one zone' };
  if (capacity.milliCpu.size > ready.length) {
    return { refusal: `Insufficient number of endpoints (${ready.length} endpoints, ${capacity.milliCpu.size} zones)` };
  }
  const shares = sharesOf(capacity, ready.length);
  if (shares === undefined) {
    return {
      refusal: `Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (${ready.length} endpoints, ${capacity.milliCpu.size} zones)`,
    };
  }
  if (ready.some(({ zone }) => zone === undefined)) return { refusal: 'One or more endpoints do not have a zone specified' };
  const zones = assign(ready, shares);
  const hinted = (endpoint: V1Endpoint): V1Endpoint => {
    const zone = zones.get(endpoint);
    return zone === undefined ? endpoint : { ...endpoint, hints: { forZones: [{ name: zone }] } };
  };
  return { groups: groups.map((group) => ({ ...group, endpoints: group.endpoints.map(hinted) })) };
}

/** Undefined when even the least each zone needs is more than there is. */
function sharesOf({ milliCpu }: ZoneCapacity, endpoints: number): Map<string, Share> | undefined {
  const all = [...milliCpu.values()].reduce((sum, cpu) => sum + cpu, 0);
  const wanted = [...milliCpu].map(([zone, cpu]) => {
    const desired = (cpu / all) * endpoints;
    // Floating point must not ask for one more.
    return { zone, desired, minimum: Math.max(1, Math.ceil(desired / (1 + overloadThreshold) - 1e-9)) };
  });
  const minimums = wanted.reduce((sum, { minimum }) => sum + minimum, 0);
  if (minimums > endpoints) return undefined;
  return new Map(wanted.map(({ zone, desired, minimum }) => [zone, { minimum, desired: Math.max(desired, minimum) }]));
}

/** Everybody serves the own zone, but for those that a zone has too many of and another too few. The same endpoints always get the same zones. */
function assign(endpoints: readonly V1Endpoint[], shares: ReadonlyMap<string, Share>): Map<V1Endpoint, string> {
  const byZone = new Map<string, V1Endpoint[]>([...shares.keys()].map((zone) => [zone, []]));
  for (const endpoint of [...endpoints].sort(byAddress)) {
    const zone = endpoint.zone ?? '';
    const here = byZone.get(zone);
    if (here) here.push(endpoint);
    else byZone.set(zone, [endpoint]);
  }
  const count = (zone: string): number => byZone.get(zone)?.length ?? 0;
  const least = (zone: string): number => shares.get(zone)?.minimum ?? 0;
  const surplus = (zone: string): number => count(zone) - (shares.get(zone)?.desired ?? 0);
  // When every zone has its least none has more than is good: together they have just enough. So each move fills a want, and there are no more than endpoints.
  for (;;) {
    const homeless = [...byZone.keys()].filter((zone) => !shares.has(zone) && count(zone) > 0);
    const needy = [...shares.keys()].filter((zone) => count(zone) < least(zone));
    if (homeless.length === 0 && needy.length === 0) break;
    const from =
      homeless[0] ??
      leastOf(
        [...shares.keys()].filter((zone) => count(zone) > least(zone)),
        (zone) => -surplus(zone),
      );
    const to = leastOf(needy.length > 0 ? needy : [...shares.keys()], surplus);
    const moved = from === undefined ? undefined : byZone.get(from)?.pop();
    if (moved === undefined || to === undefined) break;
    byZone.get(to)?.push(moved);
  }
  return new Map([...byZone].flatMap(([zone, here]) => here.map((endpoint) => [endpoint, zone] as const)));
}

/** The zone with the least of a measure; of several alike the first by name. */
function leastOf(zones: readonly string[], surplus: (zone: string) => number): string | undefined {
  return zones.toSorted((a, b) => surplus(a) - surplus(b) || (a < b ? -1 : 1))[0];
}

function byAddress(a: V1Endpoint, b: V1Endpoint): number {
  return (a.addresses[0] ?? '') < (b.addresses[0] ?? '') ? -1 : 1;
}
