/** DELETE of a collection: every object the selectors match, each deleted like by a request of its own. */
import { isReason } from '../../machinery/errors.ts';
import { listOptionsOf } from '../registry/list-options.ts';
import { candidates, selectionOf, testOf } from '../registry/selection.ts';
import type { Encoded, ListAnswer } from '../request.ts';
import { deleteOptionsOf } from './delete-options.ts';
import { removeOrMark } from './delete.ts';
import { pageOfCache } from './list.ts';
import type { ObjectCall, Storage } from './storage.ts';

/** Enough to fill the store's batches, few enough not to keep other writers waiting. */
const atOnce = 64;

export async function deleteCollection(storage: Storage, call: ObjectCall): Promise<ListAnswer> {
  const { served, target, query } = call;
  const options = deleteOptionsOf(call);
  const { limit } = listOptionsOf(query, false);
  const selection = selectionOf(served, target.namespace, undefined, query);
  const { entries } = pageOfCache(candidates(served, selection), undefined, testOf(served, selection), limit);

  const deleted: Encoded[] = [];
  for (let start = 0; start < entries.length; start += atOnce) {
    const outcomes = await Promise.all(
      entries.slice(start, start + atOnce).map(async (entry) => {
        try {
          return await removeOrMark(storage, call, entry, options);
        } catch (error) {
          // Someone else deleted it: what was asked for holds.
          if (isReason(error, 'NotFound')) return undefined;
          throw error;
        }
      }),
    );
    for (const outcome of outcomes) if (outcome) deleted.push(outcome.encoded);
  }
  return {
    type: 'list',
    kind: served.kind.listKind ?? `${served.kind.kind}List`,
    apiVersion: served.apiVersion,
    metadata: { resourceVersion: String(storage.registry.revision()) },
    items: deleted,
  };
}
