/** Server-side apply (PATCH with `application/apply-patch+yaml`): the fields a manager cares for, merged with what others own, or a new object. */
import { conflictError } from '../../machinery/apply-conflict.ts';
import { type ApplyOptions, type ApplyResult, applyConfiguration } from '../../machinery/apply.ts';
import { clone } from '../../machinery/clone.ts';
import { badRequest, conflict, invalid, isReason, notFound } from '../../machinery/errors.ts';
import { required } from '../../machinery/field-error.ts';
import type { ManagedFieldsEntry } from '../../machinery/object.ts';
import { PatchError } from '../../machinery/patch-error.ts';
import { timestamp } from '../../world/world.ts';
import { type AnyObject, type BodyType, bodyTypeOf, decodeConfiguration, parseYamlBody, textOf } from '../registry/decoding.ts';
import { parseBoolean } from '../registry/list-options.ts';
import { objectPath } from '../registry/storage-key.ts';
import type { ObjectAnswer } from '../request.ts';
import { changeObject, type Desired } from './change.ts';
import { checkNamespace, createDecoded, startStatus } from './create.ts';
import { objectAnswer } from './get.ts';
import { unwrittenFields, versionsOf } from './managed-fields.ts';
import { nameOf, type ObjectCall, type Storage } from './storage.ts';
import type { UpdateStrategy } from './strategy.ts';
import { type WriteOptions, writeOptionsOf } from './write-options.ts';

/** How often a configuration goes back and forth between creating and changing while others delete and create the object. */
const maxAttempts = 5;

/** Throws unless whoever applies says who they are. */
export function applyOptionsOf(call: ObjectCall): WriteOptions {
  const options = writeOptionsOf(call, 'PatchOptions');
  if (options.explicitManager !== undefined) return options;
  throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [required('fieldManager', 'is required for apply patch')]);
}

export async function apply(storage: Storage, call: ObjectCall, strategy: UpdateStrategy): Promise<ObjectAnswer> {
  const options = applyOptionsOf(call);
  const { served, target } = call;
  const name = nameOf(call);
  const applied = decodeApplied(call, options);
  const path = objectPath(target.namespace, name);
  const missing = (): Error => notFound(served.kind, name);

  for (let attempt = 1; ; attempt++) {
    const entry = served.cache.get(path);
    try {
      if (entry) {
        const desired = (live: AnyObject): Desired => merge(storage, call, strategy, { live, applied, manager: options.manager });
        return objectAnswer(200, await changeObject(storage, call, entry, { options, strategy, desired }, missing));
      }
      if (strategy.subresource !== '') throw missing();
      refuseVersions(call, applied);
      const { object, managedFields } = merge(storage, call, strategy, { live: undefined, applied, manager: options.manager });
      startStatus(served.kind, object);
      served.kind.defaults?.(object);
      return objectAnswer(201, await createDecoded(storage, call, object, options, managedFields));
    } catch (error) {
      // It came or went between the look and the write.
      const raced = entry ? isReason(error, 'NotFound') && !served.cache.get(path) : isReason(error, 'AlreadyExists');
      if (!raced || attempt === maxAttempts || strategy.subresource !== '') throw error;
    }
  }
}

function decodeApplied(call: ObjectCall, options: WriteOptions): AnyObject {
  const applied = decodeAppliedAs(call, bodyTypeOf(call.served), options);
  checkNamespace(call, applied);
  return applied;
}

/** The configuration in a call's body, as one of the type: an object, or the Scale that shows one. */
export function decodeAppliedAs(call: ObjectCall, type: BodyType, options: WriteOptions): AnyObject {
  const { body } = call;
  const value = body instanceof Uint8Array ? parseYamlBody(textOf(body), type.kind) : body;
  requireVersion(value, type.apiVersion);
  const refuse = (why: string): Error => typedPatchError(call, type, why);
  const applied = decodeConfiguration(value, type, { validation: options.fieldValidation, warnings: call.warnings, refuse });
  const name = nameOf(call);
  if (applied.metadata.managedFields?.length) throw badRequest('metadata.managedFields must be nil');
  if (applied.metadata.name && applied.metadata.name !== name)
    throw badRequest(`the name of the object (${applied.metadata.name}) does not match the name on the URL (${name})`);
  applied.metadata.name = name;
  return applied;
}

/** Unlike other bodies, a configuration does not take its type from the path: an empty one would be applied without meaning anything. */
function requireVersion(value: unknown, expected: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const { kind = '', apiVersion = '' } = value as { kind?: unknown; apiVersion?: unknown };
  if (kind === '') throw badRequest(`Object 'Kind' is missing in '${JSON.stringify(value)}'`);
  if (apiVersion === expected) return;
  const given = typeof apiVersion === 'string' ? apiVersion : JSON.stringify(apiVersion);
  throw badRequest(`Incorrect version specified in apply patch. Specified patch version: ${given}, expected: ${expected}`);
}

/** What cannot be merged is the client's fault: upstream words it so, and calls it an internal error. */
function typedPatchError({ target }: ObjectCall, type: BodyType, why: string): Error {
  const what = `${target.namespace ?? ''}/${target.name ?? ''}; ${type.apiVersion}, Kind=${type.kind}`;
  return badRequest(`failed to create typed patch object (${what}): ${why}`);
}

/** A configuration that names a version or uid means an object that is there. */
function refuseVersions(call: ObjectCall, { metadata }: AnyObject): void {
  if (metadata.uid)
    throw conflict(
      call.served.kind,
      metadata.name,
      `uid mismatch: the provided object specified uid ${metadata.uid}, and no existing object was found`,
    );
  if (metadata.resourceVersion) throw notFound(call.served.kind, metadata.name);
}

export interface Merge {
  readonly live: AnyObject | undefined;
  readonly applied: AnyObject;
  readonly manager: string;
}

export function merge(
  storage: Storage,
  call: ObjectCall,
  strategy: UpdateStrategy,
  { live, applied, manager }: Merge,
): Desired & { managedFields: ManagedFieldsEntry[] } {
  const { served } = call;
  const { object, conflicts } = usable(call, {
    live,
    applied,
    schema: served.schema,
    manager,
    force: parseBoolean(call.query.get('force')) ?? false,
    apiVersion: served.apiVersion,
    subresource: strategy.subresource === '' ? undefined : strategy.subresource,
    inVersion: versionsOf(storage.registry, served),
    time: timestamp(storage.world.clock.now()),
    resetFields: unwrittenFields(served, strategy.subresource),
  });
  if (conflicts.length > 0) throw conflictError(conflicts);
  // The rest of the way changes the object in place, and parts of this one are the live object's.
  const own = clone(object) as AnyObject;
  if (live) served.kind.defaults?.(own);
  if (applied.metadata.resourceVersion) own.metadata.resourceVersion = applied.metadata.resourceVersion;
  return { object: own, managedFields: own.metadata.managedFields ?? [], uid: applied.metadata.uid };
}

/** Lists whose items cannot be told apart are the client's fault. */
function usable(call: ObjectCall, options: ApplyOptions): ApplyResult {
  try {
    return applyConfiguration(options);
  } catch (error) {
    if (!(error instanceof PatchError)) throw error;
    throw typedPatchError(call, bodyTypeOf(call.served), error.message);
  }
}
