/**
 * How many seats a request takes: one, except that lists (and watches that begin with one) take a seat for every hundred objects they go through. So a few
 * lists of everything count as what they cost. Upstream's work estimator.
 */
import type { Kind } from '../../api/kind.ts';
import type { Attributes } from '../authorization/authorizer.ts';

/** What lists go through. */
export interface ObjectCounts {
  kindAt(group: string, version: string, resource: string): Kind | undefined;
  count(kind: Kind, namespace?: string): number;
}

const objectsPerSeat = 100;
const mostSeats = 10;

export function widthOf(objects: ObjectCounts, asked: Attributes, queryText: string): number {
  const { verb } = asked;
  if (verb !== 'list' && !(verb === 'watch' && queryText.includes('sendInitialEvents=true'))) return 1;
  // A name was selected: one object.
  if (asked.name !== '' || asked.subresource !== '') return 1;
  const kind = objects.kindAt(asked.group, asked.version, asked.resource);
  if (kind === undefined || kind.virtual === true) return 1;
  const stored = objects.count(kind, asked.namespace !== '' && kind.namespaced ? asked.namespace : undefined);
  if (stored <= objectsPerSeat) return 1;
  const limit = limitOf(queryText);
  // With a selector a page may have to go through everything to be full.
  const looked = limit > 0 && !queryText.includes('Selector=') ? Math.min(limit, stored) : stored;
  return Math.min(mostSeats, Math.max(1, Math.ceil(looked / objectsPerSeat)));
}

function limitOf(queryText: string): number {
  const match = /(?:^|&)limit=(\d+)/.exec(queryText);
  return match === null ? 0 : Number(match[1]);
}
