/** GET of one object: a lookup in the watch cache. */
import { notFound } from '../../machinery/errors.ts';
import { parseRevision } from '../registry/list-options.ts';
import { objectPath } from '../registry/storage-key.ts';
import type { Entry } from '../registry/encoding.ts';
import type { Encoded, ObjectAnswer } from '../request.ts';
import { mattersTo, nameOf, type ObjectCall, type Storage } from './storage.ts';

export async function get(storage: Storage, call: ObjectCall): Promise<ObjectAnswer> {
  const revision = parseRevision(call.query.get('resourceVersion') ?? '');
  if (revision !== undefined) await storage.registry.waitFor(revision);
  if (revision !== undefined && call.served.converted) await call.served.converted.caughtUp(mattersTo(call));
  return objectAnswer(200, call.served.encoded(findEntry(call)));
}

/** The object the path names, as stored; a `NotFound` when there is none. */
export function findEntry(call: ObjectCall): Entry {
  const { served, target } = call;
  const name = nameOf(call);
  const entry = served.cache.get(objectPath(target.namespace, name));
  if (!entry) throw notFound(served.kind, name);
  return entry;
}

/** Clients over the wire look at the bytes, those in the process at the object: what nobody looks at is not made. */
export function objectAnswer(code: ObjectAnswer['code'], encoded: Encoded, columns?: ObjectAnswer['columns']): ObjectAnswer {
  return {
    type: 'object',
    code,
    get object() {
      return encoded.object;
    },
    get bytes() {
      return encoded.bytes;
    },
    ...(columns && { columns }),
  };
}
