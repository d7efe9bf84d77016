/** DELETE of one object: removes it, or marks it for its finalizers and the kubelet to finish. */
import { conflict, notFound, type Status } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { admissionRequest } from './create.ts';
import type { AnyObject } from '../registry/decoding.ts';
import { encodeWhole, type Entry } from '../registry/encoding.ts';
import type { Answer, Encoded } from '../request.ts';
import { maxAttempts } from './change.ts';
import { commitDelete, commitObject } from './commit.ts';
import { type DeleteOptions, deleteOptionsOf } from './delete-options.ts';
import { planDelete } from './delete-plan.ts';
import { findEntry, objectAnswer } from './get.ts';
import type { ObjectCall, Storage } from './storage.ts';

/** Kinds whose delete answers the object as it last was, instead of a `Status`: upstream's `ReturnDeletedObject`. */
const returnedByDelete: ReadonlySet<string> = new Set([
  '/persistentvolumeclaims',
  '/persistentvolumes',
  '/pods',
  '/podtemplates',
  '/resourcequotas',
  '/serviceaccounts',
  '/services',
  'resource.k8s.io/deviceclasses',
  'resource.k8s.io/resourceclaims',
  'resource.k8s.io/resourceclaimtemplates',
  'resource.k8s.io/resourceslices',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
  'storage.k8s.io/storageclasses',
  'storage.k8s.io/volumeattachments',
  'storage.k8s.io/volumeattributesclasses',
]);

const jobPodsStay =
  'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning';

/** Of kinds that people expect to take their dependents along. */
export function warnOfOrphans({ served: { kind }, warnings }: ObjectCall, { isPolicyOpen }: DeleteOptions): void {
  if (isPolicyOpen && kind.group === 'batch' && kind.resource === 'jobs') warnings.push(jobPodsStay);
}

export async function deleteObject(storage: Storage, call: ObjectCall): Promise<Answer> {
  const options = deleteOptionsOf(call);
  warnOfOrphans(call, options);
  return deleteEntry(storage, call, findEntry(call), options);
}

/** Deletes the object at an entry, as one request of its own. */
export async function deleteEntry(storage: Storage, call: ObjectCall, entry: Entry, options: DeleteOptions): Promise<Answer> {
  const { served } = call;
  const deleted = await removeOrMark(storage, call, entry, options);
  if (!deleted.removed && options.isCascadeAsked) return objectAnswer(202, deleted.encoded);
  if (!deleted.removed || returnedByDelete.has(`${served.kind.group}/${served.kind.resource}`)) return objectAnswer(200, deleted.encoded);
  return { type: 'status', code: 200, body: successStatus(call, deleted.encoded.object) };
}

/** What decides the fate of one object. */
type Deletion = Pick<DeleteOptions, 'gracePeriodSeconds' | 'propagationPolicy' | 'dryRun' | 'preconditions'>;

export interface Deleted {
  /** False when the object is still there, marked. */
  readonly removed: boolean;
  readonly encoded: Encoded;
}

export async function removeOrMark(storage: Storage, call: ObjectCall, entry: Entry, options: Deletion): Promise<Deleted> {
  const { served } = call;
  let current = entry;
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const outcome = await attemptDelete(storage, call, current, options);
    if (outcome !== 'conflict') return outcome;
    // Each conflict means that someone else's write succeeded, and preconditions are checked again: trying again is safe.
    const next = served.cache.get(entry.path);
    if (!next) throw notFound(served.kind, entry.name);
    current = next;
  }
  throw conflict(served.kind, entry.name);
}

async function attemptDelete(storage: Storage, call: ObjectCall, entry: Entry, options: Deletion): Promise<Deleted | 'conflict'> {
  const { served } = call;
  const object = entry.object as AnyObject;
  checkPreconditions(call, entry, options);
  const request = {
    ...admissionRequest(call, object, options),
    operation: 'DELETE' as const,
    namespace: entry.namespace,
    name: entry.name,
    object: undefined,
    oldObject: served.encoded(entry).object as AnyObject,
  };
  await storage.admission.admit(request);
  await storage.admission.validate(request);

  const plan = planDelete(served.stored, object, options, storage.world.clock.now());
  switch (plan.action) {
    case 'none':
      return { removed: false, encoded: served.encoded(entry) };
    case 'mark': {
      if (options.dryRun) return { removed: false, encoded: shown(call, plan.object) };
      const marked = await commitObject(storage, served, entry.path, plan.object, entry);
      return marked === 'conflict' ? 'conflict' : { removed: false, encoded: served.encoded(marked) };
    }
    case 'remove': {
      if (options.dryRun) return { removed: true, encoded: served.encoded(entry) };
      const revision = await commitDelete(storage, served, entry);
      if (revision === 'conflict') return 'conflict';
      return { removed: true, encoded: shown(call, { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }) };
    }
  }
}

function shown({ served }: ObjectCall, object: KubeObject): Encoded {
  return encodeWhole(served.fromStored ? served.fromStored(object) : object);
}

function checkPreconditions({ served }: ObjectCall, entry: Entry, { preconditions }: Deletion): void {
  const { uid, resourceVersion } = entry.object.metadata;
  if (preconditions.uid !== undefined && preconditions.uid !== uid) {
    const why = `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`;
    throw conflict(served.kind, entry.name, why);
  }
  if (preconditions.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion) {
    const why = `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`;
    throw conflict(served.kind, entry.name, why);
  }
}

function successStatus({ served }: ObjectCall, object: KubeObject): Status {
  const { group, resource } = served.kind;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name: object.metadata.name, ...(group !== '' && { group }), kind: resource, uid: object.metadata.uid },
  };
}
