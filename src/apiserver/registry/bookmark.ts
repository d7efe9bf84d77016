/** Bookmarks: events without an object, that tell a watcher how far it is. The first may mark the end of the initial list (KEP-3157). */
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import type { EncodedWatchEvent } from '../request.ts';
import { encodedEvent } from './encoding.ts';

export function bookmarkEvent(kind: Kind, revision: number, endsInitialEvents: boolean): EncodedWatchEvent {
  const object = {
    kind: kind.kind,
    apiVersion: apiVersionOf(kind),
    metadata: {
      resourceVersion: String(revision),
      ...(endsInitialEvents && { annotations: { 'k8s.io/initial-events-end': 'true' } }),
    },
  };
  // A bookmark has no name, uid or creation time: the one object on the wire that is less than an object.
  return encodedEvent('BOOKMARK', object as EncodedWatchEvent['object']);
}
