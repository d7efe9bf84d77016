/**
 * LIST: from the watch cache where it shows the wanted revision, in pages that all show the same one, and from the store's history where the cache
 * has moved on. See https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list
 */
import { expired, ExpiredPage } from '../../machinery/errors.ts';
import { Compacted, type KeyValue } from '../../store/store.ts';
import { decodeContinueToken, encodeContinueToken } from '../registry/continue-token.ts';
import { Entry, spliceRevision } from '../registry/encoding.ts';
import { type ListOptions, listOptionsOf } from '../registry/list-options.ts';
import { firstNotBefore } from '../registry/ordered-entries.ts';
import { candidates, type Selection, selectionOf, testOf } from '../registry/selection.ts';
import type { WatchCache } from '../registry/watch-cache.ts';
import type { ListAnswer } from '../request.ts';
import { mattersTo, type ObjectCall, type Storage } from './storage.ts';

/** Objects read from the store at a time while a selector throws most of them away. */
const historyChunk = 500;

interface Page {
  readonly entries: readonly Entry[];
  /** Objects after this page; undefined when nobody counted, because a selector would have to be asked about each. */
  readonly remaining: number | undefined;
  readonly more: boolean;
}

export async function list(storage: Storage, call: ObjectCall): Promise<ListAnswer> {
  const { served, target, query } = call;
  const options = listOptionsOf(query, false);
  const selection = selectionOf(served, target.namespace, target.name, query);
  const test = testOf(served, selection);
  const { revision, after } = await position(storage, options);
  if (served.converted) await served.converted.caughtUp(mattersTo(call));

  const newest = storage.registry.shownRevision(served);
  const lastChange = (served.converted ?? served.cache).lastChange();
  const isCurrent = revision === undefined || (lastChange <= revision && revision <= newest);
  const shownRevision = revision ?? newest;
  const page = isCurrent
    ? pageOfCache(candidates(served, selection), after, test, options.limit)
    : (pageOfRecentPast(storage, call, { revision: shownRevision, after, test, limit: options.limit, selection }) ??
      (await pageOfHistory(storage, call, { revision: shownRevision, after, test, limit: options.limit, selection })));
  // The next page shows the same.
  if (isCurrent && page.more && !test) served.cache.keepAt(shownRevision, served.cache.list(selection.namespace), selection.namespace);

  const last = page.entries.at(-1);
  return {
    type: 'list',
    kind: served.kind.listKind ?? `${served.kind.kind}List`,
    apiVersion: served.apiVersion,
    metadata: {
      resourceVersion: String(shownRevision),
      ...(page.more && last && { continue: encodeContinueToken({ revision: shownRevision, after: last.path }) }),
      ...(page.more && page.remaining !== undefined && { remainingItemCount: page.remaining }),
    },
    items: served.encodedAll(page.entries),
  };
}

/** The revision the list must show (undefined for the newest), and the path it begins after. */
async function position(storage: Storage, options: ListOptions): Promise<{ revision: number | undefined; after: string | undefined }> {
  if (options.continueToken !== '') {
    const token = decodeContinueToken(options.continueToken);
    await storage.registry.waitFor(token.revision ?? storage.registry.store.revision());
    return token;
  }
  const { revision, match, limit } = options;
  if (revision === undefined || revision === 0) {
    await storage.registry.waitFor(storage.registry.store.revision());
    return { revision: undefined, after: undefined };
  }
  await storage.registry.waitFor(revision);
  // Upstream's older rule: a limit with a revision and no match asks for exactly that revision.
  const exact = match === 'Exact' || (match === undefined && limit > 0);
  return { revision: exact ? revision : undefined, after: undefined };
}

type Test = ((entry: Entry) => boolean) | undefined;

/** The newest state. Without selector and limit the answer is the cache's own array. */
export function pageOfCache(all: readonly Entry[], after: string | undefined, test: Test, limit: number): Page {
  let start = 0;
  if (after !== undefined) {
    start = firstNotBefore(all, after);
    if (all[start]?.path === after) start++;
  }
  if (!test) {
    const end = limit > 0 ? Math.min(all.length, start + limit) : all.length;
    const entries = start === 0 && end === all.length ? all : all.slice(start, end);
    return { entries, remaining: all.length - end, more: end < all.length };
  }
  const entries: Entry[] = [];
  for (let i = start; i < all.length; i++) {
    const entry = all[i];
    if (entry === undefined || !test(entry)) continue;
    if (limit > 0 && entries.length === limit) return { entries, remaining: undefined, more: true };
    entries.push(entry);
  }
  return { entries, remaining: undefined, more: false };
}

interface HistoryQuery {
  readonly revision: number;
  readonly after: string | undefined;
  readonly test: Test;
  readonly limit: number;
  readonly selection: Selection;
}

/** An earlier state that the recent events lead back to; undefined when they do not. */
function pageOfRecentPast(
  { registry }: Storage,
  { served }: ObjectCall,
  { revision, after, test, limit, selection }: HistoryQuery,
): Page | undefined {
  // What a webhook made of objects then is not what it makes of them now; what was compacted is gone for all.
  if (served.converted || revision < registry.store.oldestRevision()) return undefined;
  const { cache } = served;
  const { namespace } = selection;
  const entries = test ? cache.undoneTo(revision, candidates(served, selection), namespace) : cache.listAt(revision, namespace);
  return entries && pageOfCache(entries, after, test, limit);
}

/** An earlier state, read from the store. */
async function pageOfHistory(storage: Storage, call: ObjectCall, query: HistoryQuery): Promise<Page> {
  const { cache, converted } = call.served;
  const { namespace } = query.selection;
  const prefix = namespace === undefined ? cache.prefix : `${cache.prefix}${namespace}/`;
  const entries: Entry[] = [];
  const wanted = query.limit > 0 ? query.limit : Infinity;
  let after = query.after === undefined ? undefined : cache.prefix + query.after;
  for (;;) {
    const limit = query.test || wanted === Infinity ? historyChunk : wanted - entries.length;
    const { items, remaining } = await history(storage, cache.prefix, prefix, {
      revision: query.revision,
      limit,
      ...(after !== undefined && { after }),
    });
    const stored = items.map((item) => pastEntry(cache, item));
    const page = converted ? await converted.past(stored) : stored;
    for (const [index, entry] of page.entries()) {
      if (query.test && !query.test(entry)) continue;
      if (entries.length === wanted) return { entries, remaining: undefined, more: true };
      entries.push(entry);
      if (!query.test && entries.length === wanted) {
        const left = items.length - index - 1 + remaining;
        return { entries, remaining: left, more: left > 0 };
      }
    }
    after = items.at(-1)?.key;
    if (remaining === 0 || after === undefined) return { entries, remaining: 0, more: false };
  }
}

function pastEntry(cache: WatchCache, { key, value, modRevision, createRevision }: KeyValue): Entry {
  const place = { path: key.slice(cache.prefix.length), revision: modRevision, createRevision };
  return new Entry(place, spliceRevision(value, cache.headLength(value), modRevision), undefined, false);
}

async function history(storage: Storage, cachePrefix: string, prefix: string, options: { revision: number; limit: number; after?: string }) {
  try {
    return await storage.registry.store.range(prefix, options);
  } catch (error) {
    if (!(error instanceof Compacted)) throw error;
    const { after } = options;
    if (after === undefined) throw expired('The resourceVersion for the provided list is too old.');
    throw new ExpiredPage(tooOldToContinue, encodeContinueToken({ revision: undefined, after: after.slice(cachePrefix.length) }));
  }
}

/** As upstream words it; clients show it. */
const tooOldToContinue =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the ' +
  'continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects ' +
  'that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';
