/** DELETE of a collection: every object the selectors match, each deleted like by a request of its own. */
import { isReason } from '../../machinery/errors.ts';
import { objectPath } from '../registry/storage-key.ts';
import type { Encoded, ListAnswer } from '../request.ts';
import { collectionDeleteOptionsOf, type DeleteOptions } from './delete-options.ts';
import { removeOrMark, warnOfOrphans } from './delete.ts';
import { list } from './list.ts';
import type { ObjectCall, Storage } from './storage.ts';

/** Enough to fill the store's batches, few enough not to keep other writers waiting. */
const atOnce = 64;

export async function deleteCollection(storage: Storage, call: ObjectCall): Promise<ListAnswer> {
  const options = collectionDeleteOptionsOf(call);
  warnOfOrphans(call, options);
  // The page that a list with the same query shows is what goes.
  const { items: listed, metadata, ...answer } = await list(storage, call);
  const paths = listed.map(({ object: { metadata: place } }) => objectPath(place.namespace, place.name));

  const deleted: Encoded[] = [];
  for (let start = 0; start < paths.length; start += atOnce) {
    const outcomes = await Promise.allSettled(paths.slice(start, start + atOnce).map((path) => deleteAt(storage, call, path, options)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    // Nobody goes on behind the back of a client that was told of a failure.
    if (failed) throw failed.reason;
    for (const outcome of outcomes) if (outcome.status === 'fulfilled' && outcome.value) deleted.push(outcome.value);
  }
  return { ...answer, metadata: { ...metadata, resourceVersion: String(storage.registry.revision()) }, items: deleted };
}

async function deleteAt(storage: Storage, call: ObjectCall, path: string, options: DeleteOptions): Promise<Encoded | undefined> {
  const entry = call.served.cache.get(path);
  if (!entry) return undefined;
  try {
    return (await removeOrMark(storage, call, entry, options)).encoded;
  } catch (error) {
    // Someone else deleted it: what was asked for holds.
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
