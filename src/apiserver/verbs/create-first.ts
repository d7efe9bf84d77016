/**
 * What a new cluster begins with, written by its server all in one commit. It becomes what CREATE and a write of the status would make of it, without what
 * these do for the sake of clients: nobody has to be believed or admitted, and that the objects are valid a test knows (`bootstrap/first-objects.test.ts`).
 * A cluster in a test is there in half the time for it.
 */
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import { clone } from '../../machinery/clone.ts';
import type { Draft, KubeObject } from '../../machinery/object.ts';
import { Conflict, type Guard, type Put } from '../../store/store.ts';
import { timestamp } from '../../world/world.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { ServedKind } from '../registry/served-kind.ts';
import { objectPath } from '../registry/storage-key.ts';
import { putOf } from './commit.ts';
import { startStatus } from './create.ts';
import { trackWrite } from './managed-fields.ts';
import type { Storage } from './storage.ts';

/** An object of a kind that is stored as it is served. */
export interface FirstObject {
  readonly kind: Kind;
  /** Never changed: what is worked out of it once in a process serves all its clusters. */
  readonly draft: Draft<KubeObject>;
  /** What holds of it from the start, and in whose name that is written. */
  readonly status?: { readonly manager: string; readonly conditions: readonly object[] };
}

const manager = 'kube-apiserver';

/** Drafts as they are stored, but for the uid and the times. */
const prepared = new WeakMap<Draft<KubeObject>, AnyObject>();

/** Writes them all, or, where one of them is there already, nothing: then the answer is false. */
export async function createFirst(storage: Storage, objects: readonly FirstObject[]): Promise<boolean> {
  const puts = objects.map((object) => firstPut(storage, object));
  const guards = puts.map(({ key }): Guard => ({ key, modRevision: 0 }));
  try {
    await storage.registry.store.commit(puts, guards);
    return true;
  } catch (error) {
    if (error instanceof Conflict) return false;
    throw error;
  }
}

function firstPut(storage: Storage, first: FirstObject): Put {
  const { world, registry } = storage;
  const served = registry.servedKind(first.kind);
  let template = prepared.get(first.draft);
  if (template === undefined) prepared.set(first.draft, (template = prepare(storage, served, first)));
  const { metadata } = template;
  const time = timestamp(world.clock.now());
  const object: AnyObject = {
    ...template,
    metadata: {
      ...metadata,
      uid: world.random.uid(),
      creationTimestamp: time,
      managedFields: metadata.managedFields?.map((entry) => ({ ...entry, time })) ?? [],
    },
    ...(first.status && { status: { conditions: first.status.conditions.map((condition) => ({ ...condition, lastTransitionTime: time })) } }),
  };
  return putOf(storage, served, objectPath(metadata.namespace, metadata.name), object);
}

function prepare(storage: Storage, served: ServedKind, { kind, draft, status }: FirstObject): AnyObject {
  const object = { kind: kind.kind, apiVersion: apiVersionOf(kind), ...clone(draft) } as AnyObject;
  const { metadata } = object;
  startStatus(kind, object);
  kind.defaults?.(object);
  trackWrite(storage, served, { before: undefined, after: object, options: { manager }, subresource: '' });
  if (kind.generation) metadata.generation = 1;
  kind.prepareForCreate?.(object);
  if (status !== undefined) {
    const before = { ...object, metadata: { ...metadata } };
    object['status'] = { conditions: status.conditions.map((condition) => ({ ...condition, lastTransitionTime: '' })) };
    trackWrite(storage, served, { before, after: object, options: { manager: status.manager }, subresource: 'status' });
  }
  return object;
}
