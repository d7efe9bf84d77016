/**
 * Changing a stored object, whatever the verb: read, change, prepare, admit, validate, and commit if nobody was faster; if somebody was, again from what is
 * there now. Upstream's `GuaranteedUpdate` and `rest.BeforeUpdate`.
 */
import type { Kind } from '../../api/kind.ts';
import { equal } from '../../machinery/equal.ts';
import { badRequest, conflict, invalid } from '../../machinery/errors.ts';
import type { ManagedFieldsEntry } from '../../machinery/object.ts';
import { type AdmissionRequest, Alongside } from '../admission/admission.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Entry } from '../registry/encoding.ts';
import type { Encoded } from '../request.ts';
import { commitDelete, commitObject, dryRunAnswer } from './commit.ts';
import { addWarnings, viewErrors } from './object-rules.ts';
import { trackWrite } from './managed-fields.ts';
import type { ObjectCall, Storage } from './storage.ts';
import type { UpdateStrategy } from './strategy.ts';
import type { WriteOptions } from './write-options.ts';

/** Whoever wins one of these races makes progress, so a retry is safe; a client that loses so many is told. */
export const maxAttempts = 100;

export interface Change {
  readonly options: WriteOptions;
  readonly strategy: UpdateStrategy;
  /**
   * What the client wants in place of `live` (never to be changed): a fresh object in the version asked for, decoded and defaulted. A resource version in
   * it must be the live one's. Throws to refuse.
   */
  readonly desired: (live: AnyObject) => Desired;
}

export interface Desired {
  readonly object: AnyObject;
  /** Set by apply, which works the managed fields out itself. */
  readonly managedFields?: ManagedFieldsEntry[];
  /** The client meant the object with this uid. */
  readonly uid?: string;
}

/** Changes the object at `entry`, or the one that took its place meanwhile; `missing` makes the error for when it is gone. */
export async function changeObject(storage: Storage, call: ObjectCall, entry: Entry, change: Change, missing: () => Error): Promise<Encoded> {
  const { served } = call;
  let current = entry;
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const outcome = await attemptChange(storage, call, current, change);
    if (outcome !== 'conflict') return outcome;
    const next = served.cache.get(entry.path);
    if (!next) throw missing();
    current = next;
  }
  throw conflict(served.kind, entry.name);
}

async function attemptChange(storage: Storage, call: ObjectCall, entry: Entry, change: Change): Promise<Encoded | 'conflict'> {
  const { served } = call;
  const { strategy, options } = change;
  const desired = change.desired(served.encoded(entry).object as AnyObject);
  checkIdentity(call, entry, desired);

  const before = entry.object as AnyObject;
  const wanted = served.toStored ? (served.toStored(desired.object) as AnyObject) : desired.object;
  const after = strategy.merge(wanted, before, served.stored);
  keepMetadata(after, before);
  const sent = settleManagedFields(storage, call, { after, before, change, given: desired.managedFields });
  const allocation = strategy.subresource === '' ? storage.services.begin(served.stored, after, before) : undefined;
  const alongside = new Alongside();
  try {
    const request: AdmissionRequest = {
      operation: 'UPDATE',
      kind: served.kind,
      resource: served.kind,
      subresource: strategy.subresource,
      namespace: entry.namespace,
      name: entry.name,
      user: call.user,
      dryRun: options.dryRun,
      object: after,
      oldObject: before,
      warnings: call.warnings,
      alongside,
      annotate: call.annotate,
    };
    await storage.admission.admit(request);
    if (served.stored.generation && strategy.countsGeneration && contentChanged(after, before, served.stored)) {
      after.metadata.generation = (before.metadata.generation ?? 0) + 1;
    }
    const errors = strategy.validate(served.stored, after, before);
    if (strategy.subresource === '') errors.push(...viewErrors(served, after, before));
    if (errors.length > 0) throw invalid(served.kind, entry.name, errors);
    if (strategy.subresource === '') addWarnings(call, after, before);
    await storage.admission.validate(request);
    allocation?.allocate();

    if (isUnchanged(after, before, sent) && !isStale(storage, call, entry)) return served.encoded(entry);
    if (options.dryRun) return dryRunAnswer(served, after);
    if (isFinished(after, before)) {
      const revision = await commitDelete(storage, served, entry);
      if (revision === 'conflict') return 'conflict';
      after.metadata.resourceVersion = String(revision);
      return dryRunAnswer(served, after);
    }
    allocation?.record(alongside);
    const committed = await commitObject(storage, served, entry.path, after, entry, alongside);
    return committed === 'conflict' ? 'conflict' : served.encoded(committed);
  } finally {
    alongside.end();
    allocation?.settle();
  }
}

/** The object is the one the path names, at the version the client knows. */
function checkIdentity(call: ObjectCall, entry: Entry, { object, uid }: Desired): void {
  const { kind } = call.served;
  const { metadata } = object;
  if (metadata.name && metadata.name !== entry.name)
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${entry.name})`);
  if (entry.namespace !== undefined && metadata.namespace && metadata.namespace !== entry.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  const live = entry.object.metadata;
  if (uid && uid !== live.uid) throw conflict(kind, entry.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.uid}`);
  if (metadata.resourceVersion && metadata.resourceVersion !== '0' && metadata.resourceVersion !== String(entry.revision))
    throw conflict(kind, entry.name);
}

/** What a client may leave out of `metadata`, and what it cannot change. */
function keepMetadata(after: AnyObject, before: AnyObject): void {
  const { metadata } = after;
  const live = before.metadata;
  metadata.resourceVersion = live.resourceVersion;
  if (live.namespace !== undefined && !metadata.namespace) metadata.namespace = live.namespace;
  if (!metadata.uid) metadata.uid = live.uid;
  if (!metadata.creationTimestamp) metadata.creationTimestamp = live.creationTimestamp;
  // Deletion cannot be called off, nor begun, by an update.
  if (live.deletionTimestamp === undefined) delete metadata.deletionTimestamp;
  else metadata.deletionTimestamp ??= live.deletionTimestamp;
  if (live.deletionGracePeriodSeconds === undefined) delete metadata.deletionGracePeriodSeconds;
  else metadata.deletionGracePeriodSeconds ??= live.deletionGracePeriodSeconds;
  if (live.generation === undefined) delete metadata.generation;
  else metadata.generation = live.generation;
  delete metadata.selfLink;
}

/** Anything besides metadata and a status that is written apart. */
function contentChanged(after: AnyObject, before: AnyObject, kind: Kind): boolean {
  const ownStatus = kind.custom !== undefined && !kind.subresources['status'];
  for (const field of new Set([...Object.keys(after), ...Object.keys(before)])) {
    if (field !== 'metadata' && (field !== 'status' || ownStatus) && !equal(after[field], before[field])) return true;
  }
  return false;
}

interface Outcome {
  readonly after: AnyObject;
  readonly before: AnyObject;
  readonly change: Change;
  readonly given: ManagedFieldsEntry[] | undefined;
}

/**
 * Completes `after` with who owns what, before admission: what the server adds is nobody's. Answers the managed fields as the client wants them, which
 * alone may be a change.
 */
function settleManagedFields(storage: Storage, call: ObjectCall, { after, before, change, given }: Outcome): ManagedFieldsEntry[] | undefined {
  const { metadata } = after;
  if (given) {
    metadata.managedFields = given;
    return given;
  }
  // Left out means untouched.
  if (metadata.managedFields === undefined && before.metadata.managedFields !== undefined) metadata.managedFields = before.metadata.managedFields;
  const sent = metadata.managedFields;
  if (change.strategy.tracked && !equal(after, before))
    trackWrite(storage, call.served, { before, after, options: change.options, subresource: change.strategy.subresource });
  return sent;
}

/** Written again all the same: encrypted with a key that is on its way out. */
function isStale({ registry }: Storage, { served }: ObjectCall, entry: Entry): boolean {
  return registry.store.isStale?.(served.cache.prefix + entry.path) === true;
}

/** Nothing is written then, and the object keeps its version. That its fields would be someone's a second later is no change. */
function isUnchanged(after: AnyObject, before: AnyObject, sent: ManagedFieldsEntry[] | undefined): boolean {
  const { managedFields } = before.metadata;
  if (!equal(sent, managedFields)) return false;
  const tracked = after.metadata.managedFields;
  if (managedFields === undefined) delete after.metadata.managedFields;
  else after.metadata.managedFields = managedFields;
  const unchanged = equal(after, before);
  if (tracked === undefined) delete after.metadata.managedFields;
  else after.metadata.managedFields = tracked;
  return unchanged;
}

/** Nothing holds the object any more: its deletion was asked for, its time is up, and the last finalizer is gone. */
function isFinished(after: AnyObject, before: AnyObject): boolean {
  if (before.metadata.deletionTimestamp === undefined || (before.metadata.deletionGracePeriodSeconds ?? 0) !== 0) return false;
  return (after.metadata.finalizers ?? []).length === 0 && !isHeldBySpec(after);
}

/** Namespaces have finalizers in their spec, too. */
export function isHeldBySpec(object: AnyObject): boolean {
  if (object.kind !== 'Namespace' || object.apiVersion !== 'v1') return false;
  const spec = object['spec'] as { finalizers?: readonly string[] } | undefined;
  return (spec?.finalizers ?? []).length > 0;
}
