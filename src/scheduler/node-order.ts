/** The order nodes are looked at: one of each zone in turn, so that a search that ends before the last node has seen all zones. */
import type { Node } from '../api/kinds.ts';
import type { NodeRow } from './snapshot.ts';

export const zoneLabel = 'topology.kubernetes.io/zone';
export const regionLabel = 'topology.kubernetes.io/region';

/** Region and zone together; equal for nodes that fail together. */
export function zoneOf({ metadata: { labels } }: Node): string {
  return `${labels?.[regionLabel] ?? ''}\0${labels?.[zoneLabel] ?? ''}`;
}

export function inZoneTurns<R extends NodeRow>(rows: readonly R[]): R[] {
  const zones = new Map<string, R[]>();
  for (const row of rows) {
    const zone = row.node === undefined ? '' : zoneOf(row.node);
    const members = zones.get(zone);
    if (members === undefined) zones.set(zone, [row]);
    else members.push(row);
  }
  if (zones.size <= 1) return [...rows];
  const ordered: R[] = [];
  const lists = [...zones.values()];
  for (let turn = 0; ordered.length < rows.length; turn++) {
    for (const members of lists) {
      const row = members[turn];
      if (row !== undefined) ordered.push(row);
    }
  }
  return ordered;
}
