/** CREATE: decode, default, admit, prepare, validate, allocate, commit under the guard that nothing has the name yet. */
import type { Kind } from '../../api/kind.ts';
import { validateObject } from '../../api/object-meta.ts';
import { ApiError, alreadyExists, badRequest, invalid, isReason } from '../../machinery/errors.ts';
import type { ManagedFieldsEntry } from '../../machinery/object.ts';
import { timestamp } from '../../world/world.ts';
import { type AdmissionRequest, Alongside } from '../admission/admission.ts';
import { type AnyObject, bodyTypeOf, decodeAs, parseBody } from '../registry/decoding.ts';
import { objectPath } from '../registry/storage-key.ts';
import type { Encoded, ObjectAnswer } from '../request.ts';
import { maxAttempts } from './change.ts';
import { commitObject, dryRunAnswer } from './commit.ts';
import { objectAnswer } from './get.ts';
import { trackWrite } from './managed-fields.ts';
import { addWarnings, viewErrors } from './object-rules.ts';
import { methodNotServed, type ObjectCall, type Storage } from './storage.ts';
import { type WriteOptions, writeOptionsOf } from './write-options.ts';

/** Upstream's `MaxGeneratedNameLength`: what is left of 63 characters before the five random ones. */
const maxGeneratedBase = 58;
/** With five random characters eight attempts fail once in a blue moon even with millions of names taken. */
const maxNameAttempts = 8;

export async function create(storage: Storage, call: ObjectCall): Promise<ObjectAnswer> {
  const options = writeOptionsOf(call, 'CreateOptions');
  const { served } = call;
  const decoded = decodeAs(parseBody(call, served.kind.kind), bodyTypeOf(served), options.fieldValidation, call.warnings);
  prepareDecoded(call, decoded);
  return objectAnswer(201, await createDecoded(storage, call, decoded, options, undefined));
}

/** The name space of the path, a status only where the client may set one, and defaults: what decoding does upstream. */
function prepareDecoded(call: ObjectCall, object: AnyObject): void {
  const { kind } = call.served;
  checkNamespace(call, object);
  startStatus(kind, object);
  kind.defaults?.(object);
}

/** A new object's status is empty, not the client's; but a node says how it is when it registers. */
export function startStatus(kind: Kind, object: AnyObject): void {
  if (!kind.subresources['status']) return;
  if (kind.custom) {
    delete object['status'];
    return;
  }
  const registers = kind.group === '' && kind.resource === 'nodes';
  if (!registers || object['status'] === undefined) object['status'] = {};
}

export function checkNamespace(call: ObjectCall, object: AnyObject): void {
  const { namespace } = call.target;
  const { metadata } = object;
  // What is not in a namespace has none, whatever the client says.
  if (namespace === undefined) delete metadata.namespace;
  else if (!metadata.namespace) metadata.namespace = namespace;
  else if (metadata.namespace !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/**
 * Creates a decoded object, which becomes the server's own. `managedFields` is what apply has worked out already; otherwise the fields become the
 * writer's.
 */
export async function createDecoded(
  storage: Storage,
  call: ObjectCall,
  object: AnyObject,
  options: WriteOptions,
  managedFields: ManagedFieldsEntry[] | undefined,
): Promise<Encoded> {
  const { served } = call;
  const { metadata } = object;
  // An apply may come here too, while a custom kind is on its way out.
  if (!served.kind.verbs.includes('create')) throw methodNotServed();
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  fillMetadata(storage, object, managedFields);
  const generated = !metadata.name && metadata.generateName ? metadata.generateName : undefined;
  if (generated !== undefined) metadata.name = generateName(storage, generated);
  // Before admission: what the server adds is nobody's.
  if (managedFields === undefined) trackWrite(storage, call.served, { before: undefined, after: object, options, subresource: '' });
  const request = admissionRequest(call, object, options);
  await storage.admission.admit(request);

  const stored = served.toStored ? (served.toStored(object) as AnyObject) : object;
  if (served.toStored) served.stored.defaults?.(stored);
  if (served.stored.generation) stored.metadata.generation = 1;
  else delete stored.metadata.generation;
  served.stored.prepareForCreate?.(stored);

  for (let attempt = 1; ; attempt++) {
    try {
      return await createNamed(storage, call, stored, options, request);
    } catch (error) {
      if (generated === undefined || !isReason(error, 'AlreadyExists') || attempt === maxNameAttempts) throw error;
      stored.metadata.name = generateName(storage, generated);
    }
  }
}

async function createNamed(
  storage: Storage,
  call: ObjectCall,
  object: AnyObject,
  options: WriteOptions,
  request: AdmissionRequest,
): Promise<Encoded> {
  const { served } = call;
  const { name } = object.metadata;
  const path = objectPath(served.kind.namespaced ? object.metadata.namespace : undefined, name);
  const allocation = storage.services.begin(served.stored, object, undefined);
  try {
    const errors = [...validateObject(served.stored, object, undefined), ...viewErrors(served, object, undefined)];
    // A missing name is one of the errors.
    if (errors.length > 0) throw invalid(served.kind, name || '', errors);
    addWarnings(call, object, undefined);
    for (let attempt = 1; ; attempt++) {
      const alongside = new Alongside();
      try {
        await storage.admission.validate({ ...request, name, alongside });
        // Also the common answer to a client that creates what is there, without asking the store.
        const existing = served.cache.get(path);
        if (existing) throw existsError(call, name, existing.object.metadata.deletionTimestamp !== undefined);
        allocation?.allocate();
        if (options.dryRun) return dryRunAnswer(served, object);
        allocation?.record(alongside);
        const committed = await commitObject(storage, served, path, object, undefined, alongside);
        if (committed !== 'conflict') return served.encoded(committed);
        // What was to be written alongside may have changed meanwhile instead: then it is judged again.
        if (alongside.operations.length === 0 || attempt === maxAttempts) throw existsError(call, name, false);
      } finally {
        alongside.end();
      }
    }
  } finally {
    allocation?.settle();
  }
}

function existsError(call: ObjectCall, name: string, beingDeleted: boolean): ApiError {
  const error = alreadyExists(call.served.kind, name);
  return beingDeleted ? new ApiError('AlreadyExists', `object is being deleted: ${error.message}`, error.details) : error;
}

function fillMetadata(storage: Storage, object: AnyObject, managedFields: ManagedFieldsEntry[] | undefined): void {
  const { metadata } = object;
  metadata.uid = storage.world.random.uid();
  metadata.creationTimestamp = timestamp(storage.world.clock.now());
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  // What a client copied along from another object says nothing about this one.
  if (managedFields) metadata.managedFields = managedFields;
  else delete metadata.managedFields;
}

function generateName(storage: Storage, base: string): string {
  return base.slice(0, maxGeneratedBase) + storage.world.random.name(5);
}

export function admissionRequest(call: ObjectCall, object: AnyObject, options: Pick<WriteOptions, 'dryRun'>): AdmissionRequest {
  const { kind } = call.served;
  return {
    operation: 'CREATE',
    kind,
    resource: kind,
    subresource: '',
    namespace: kind.namespaced ? call.target.namespace : undefined,
    name: object.metadata.name ?? '',
    user: call.user,
    dryRun: options.dryRun,
    object,
    oldObject: undefined,
    warnings: call.warnings,
    annotate: call.annotate,
  };
}
