/** Encoding an object and committing it, deleting one, and what to answer with. */
import type { KubeObject } from '../../machinery/object.ts';
import { Conflict } from '../../store/store.ts';
import type { AnyObject } from '../registry/decoding.ts';
import { encodeForStore, encodeWhole, Entry, spliceRevision } from '../registry/encoding.ts';
import type { ServedKind } from '../registry/served-kind.ts';
import type { Encoded } from '../request.ts';
import type { Storage } from './storage.ts';

/**
 * Writes the object if the store still has what `before` shows (nothing, when undefined). Answers the object as stored, or `conflict` when someone
 * else was faster. The object belongs to the cache from here on.
 */
export async function commitObject(
  storage: Storage,
  served: ServedKind,
  path: string,
  object: AnyObject,
  before: Entry | undefined,
): Promise<Entry | 'conflict'> {
  const { registry, world } = storage;
  const { cache, stored } = served;
  const own = inOrder(object);
  const value = encodeForStore(own);
  registry.handOver(value, own);
  const key = cache.prefix + path;
  const expiry = stored.ttlSeconds === undefined ? undefined : { expiresAtMs: world.clock.now() + stored.ttlSeconds * 1000 };
  const revision = await guarded(() =>
    registry.store.commit([{ type: 'put', key, value, ...expiry }], [{ key, modRevision: before?.revision ?? 0 }]),
  );
  if (revision === 'conflict') return 'conflict';
  const entry = cache.get(path);
  if (entry?.revision === revision) return entry;
  // Written over in the same moment: the answer still is what this write made.
  const place = { path, revision, createRevision: before?.createRevision ?? revision };
  return new Entry(place, spliceRevision(value, cache.headLength, revision), undefined, false);
}

/** Deletes the object if it still is what `before` shows; answers the revision of the deletion. */
export function commitDelete(storage: Storage, served: ServedKind, before: Entry): Promise<number | 'conflict'> {
  const key = served.cache.prefix + before.path;
  return guarded(() => storage.registry.store.commit([{ type: 'delete', key }], [{ key, modRevision: before.revision }]));
}

async function guarded(commit: () => Promise<number>): Promise<number | 'conflict'> {
  try {
    return await commit();
  } catch (error) {
    if (error instanceof Conflict) return 'conflict';
    throw error;
  }
}

/** Kind and version first, and a place for the revision: the fixed head every stored object has. */
function inOrder(object: AnyObject): AnyObject {
  const { kind, apiVersion, metadata, status, ...rest } = object;
  const ordered: AnyObject = { kind, apiVersion, metadata: { ...metadata, resourceVersion: '' }, ...rest };
  if (status !== undefined) ordered['status'] = status;
  return ordered;
}

/** What a write would have answered. */
export function dryRunAnswer(served: ServedKind, object: AnyObject): Encoded {
  const { kind, apiVersion, metadata, status, ...rest } = (served.fromStored ? served.fromStored(object) : object) as AnyObject;
  const ordered: KubeObject = { kind, apiVersion, metadata, ...rest, ...(status !== undefined && { status }) };
  return encodeWhole(ordered);
}
