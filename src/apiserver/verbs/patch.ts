/** PATCH: JSON patch, merge patch and strategic merge patch of what is stored, tried again when somebody else changed it meanwhile. */
import { parseBoundedJson } from '../../machinery/bounded-json.ts';
import { badRequest, entityTooLarge, ApiError, notFound, unsupportedMediaType } from '../../machinery/errors.ts';
import { applyJsonPatch } from '../../machinery/json-patch.ts';
import { applyMergePatch } from '../../machinery/merge-patch.ts';
import { PatchError } from '../../machinery/patch-error.ts';
import { applyStrategicMerge } from '../../machinery/strategic-merge.ts';
import { type AnyObject, type BodyType, bodyTypeOf, decodePatched, repeatedPatchKeys, textOf } from '../registry/decoding.ts';
import { objectPath } from '../registry/storage-key.ts';
import type { Call, ObjectAnswer } from '../request.ts';
import { apply } from './apply.ts';
import { changeObject } from './change.ts';
import { objectAnswer } from './get.ts';
import { nameOf, type ObjectCall, type Storage } from './storage.ts';
import type { UpdateStrategy } from './strategy.ts';
import { type WriteOptions, writeOptionsOf } from './write-options.ts';

export const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
] as const;

/** A definition cannot say what strategic merge needs to know. */
const customPatchTypes = patchTypes.filter((type) => type !== 'application/strategic-merge-patch+json');

export async function patch(storage: Storage, call: ObjectCall, strategy: UpdateStrategy): Promise<ObjectAnswer> {
  if (call.contentType === 'application/apply-patch+yaml') return apply(storage, call, strategy);
  const options = writeOptionsOf(call, 'PatchOptions');
  const { served, target } = call;
  const { kind } = served;
  const name = nameOf(call);
  if (kind.custom && call.contentType === 'application/strategic-merge-patch+json') throw unsupportedMediaType(customPatchTypes);
  const type = bodyTypeOf(served);
  const change = parsePatch(call, type);
  const missing = (): Error => notFound(kind, name);
  const entry = served.cache.get(objectPath(target.namespace, name));
  if (!entry) throw missing();
  let { warnings }: { warnings: string[] } = call;
  // Writing a subresource leaves most of the object as it is, in place: what the patch does not touch was decoded when it was written.
  const shares = strategy.subresource !== '' && served.toStored === undefined;
  const desired = (live: AnyObject) => {
    const object = patched(live, change, type, options, warnings, shares ? live : undefined);
    warnings = [];
    kind.defaults?.(object);
    return { object };
  };
  return objectAnswer(200, await changeObject(storage, call, entry, { options, strategy, desired }, missing));
}

/** Applies a parsed patch and checks that the result still is an object of the type; parts that `known` has, too, are shared with it. */
export function patched(
  live: AnyObject,
  { apply: change, faults, shows }: Patch,
  type: BodyType,
  options: Pick<WriteOptions, 'fieldValidation'>,
  warnings: string[],
  known?: AnyObject,
): AnyObject {
  let value: unknown;
  try {
    value = change(live);
  } catch (error) {
    throw error instanceof PatchError ? refusal(error) : error;
  }
  return decodePatched({ value, known, faults, shown: () => JSON.stringify(shows ?? value) }, type, options.fieldValidation, warnings);
}

export interface Patch {
  /** What the patch makes of an object, which it leaves as it is. */
  readonly apply: (live: object) => unknown;
  /** What strict decoding has against the patch itself. */
  readonly faults: readonly string[];
  /** What a refusal shows in place of the patched object. */
  readonly shows?: object;
}

/** The body as a patch of the content type's kind. */
export function parsePatch(call: Call, type: BodyType): Patch {
  switch (call.contentType) {
    case 'application/json-patch+json': {
      const { document, faults } = parseDocument(call);
      return { apply: (live) => applyJsonPatch(live, document), faults };
    }
    case 'application/merge-patch+json': {
      const { document, faults } = parseObject(call);
      return { apply: (live) => applyMergePatch(live, document), faults };
    }
    case 'application/strategic-merge-patch+json': {
      const { document, faults } = parseObject(call);
      return { apply: (live) => applyStrategicMerge(live, document, type.schema), faults, shows: document };
    }
    default:
      throw unsupportedMediaType(patchTypes);
  }
}

interface Parsed<T> {
  readonly document: T;
  readonly faults: readonly string[];
}

function parseDocument({ body }: Call): Parsed<unknown> {
  if (!(body instanceof Uint8Array)) {
    if (body === undefined) throw badRequest('unexpected end of JSON input');
    return { document: body, faults: [] };
  }
  const text = textOf(body);
  let document: unknown;
  try {
    document = parseBoundedJson(text);
  } catch (error) {
    throw badRequest(
      body.length === 0 ? 'unexpected end of JSON input' : `error decoding patch: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return { document, faults: repeatedPatchKeys(document, text) };
}

function parseObject(call: Call): Parsed<object> {
  const { document, faults } = parseDocument(call);
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) return { document, faults };
  const found = document === null ? 'null' : Array.isArray(document) ? 'array' : typeof document;
  throw badRequest(`json: cannot unmarshal ${found} into Go value of type map[string]interface {}`);
}

function refusal(error: PatchError): ApiError {
  switch (error.fault) {
    case 'malformed':
      return badRequest(error.message);
    case 'too-large':
      return new ApiError('RequestEntityTooLarge', error.message, entityTooLarge(0).details);
    case 'inapplicable':
      return new ApiError('Invalid', 'the server rejected our request due to an error in our request', {});
  }
}
