/** Encoding an object and committing it, deleting one, and what to answer with. */
import type { KubeObject } from '../../machinery/object.ts';
import { Conflict, type Operation, type Put } from '../../store/store.ts';
import type { Alongside } from '../admission/admission.ts';
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
  alongside?: Alongside,
): Promise<Entry | 'conflict'> {
  const { converted } = served;
  const put = putOf(storage, served, path, converted ? ((await converted.conversion.toStored(object)) as AnyObject) : object);
  const { key } = put;
  const guard = { key, modRevision: before?.revision ?? 0 };
  const more = alongside !== undefined && alongside.operations.length > 0 ? alongside : undefined;
  const revision = await guarded(served, () =>
    more ? storage.registry.store.commit([put, ...more.operations], [guard, ...more.guards]) : storage.registry.store.commit([put], [guard]),
  );
  if (revision === 'conflict') return 'conflict';
  if (converted) {
    // What is written is written: that it cannot be read back just now is the next reader's trouble.
    await converted.caughtUp((changed) => changed === path).catch(() => undefined);
  }
  const { cache } = served;
  const entry = cache.get(path);
  if (entry?.revision === revision) return entry;
  // Written over in the same moment: the answer still is what this write made.
  const place = { path, revision, createRevision: before?.createRevision ?? revision };
  const value = converted ? encodeForStore(object) : put.value;
  return new Entry(place, spliceRevision(value, cache.headLength(value), revision), undefined, false);
}

/** The operation that stores an object, encoded. The object belongs to the cache from here on. */
export function putOf({ registry, world }: Pick<Storage, 'registry' | 'world'>, { cache, stored }: ServedKind, path: string, object: AnyObject): Put {
  const own = inOrder(object);
  const value = encodeForStore(own);
  registry.handOver(value, own);
  const expiry = stored.ttlSeconds === undefined ? undefined : { expiresAtMs: world.clock.now() + stored.ttlSeconds * 1000 };
  return { type: 'put', key: cache.prefix + path, value, ...expiry };
}

/** Deletes the object, and what only comes with it, if it still is what `before` shows; answers the revision of the deletion. */
export function commitDelete(storage: Storage, served: ServedKind, before: Entry): Promise<number | 'conflict'> {
  const key = served.cache.prefix + before.path;
  const more = storage.services.leaving(served.stored, before.object as AnyObject);
  const operations: Operation[] = [{ type: 'delete', key }, ...(more?.operations ?? [])];
  return guarded(served, () => storage.registry.store.commit(operations, [{ key, modRevision: before.revision }, ...(more?.guards ?? [])]));
}

async function guarded({ converted }: ServedKind, commit: () => Promise<number>): Promise<number | 'conflict'> {
  try {
    return await commit();
  } catch (error) {
    if (!(error instanceof Conflict)) throw error;
    // What the other one wrote is what the next attempt begins with.
    if (converted) await converted.caughtUp((path) => error.key.endsWith(`/${path}`));
    return 'conflict';
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
