/**
 * From a request's body to an object of the kind its path names: JSON or YAML, the right kind and version, fields of the right types, unknown fields
 * treated as `fieldValidation` asks. Messages follow upstream's codecs where clients show them.
 */
import { parse as parseYaml } from 'yaml';
import { parseBoundedJson } from '../../machinery/bounded-json.ts';
import { type Decoded, decodeObject } from '../../machinery/decode.ts';
import { type ApiError, badRequest, invalid, unsupportedMediaType } from '../../machinery/errors.ts';
import { invalidValue, notSupported } from '../../machinery/field-error.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { repeatedJsonKeys, repeatedYamlKeys } from '../../machinery/repeated-keys.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import type { Call } from '../request.ts';
import type { ServedKind } from './served-kind.ts';

/** An object of whatever kind, as the verbs handle it. */
export type AnyObject = KubeObject & Record<string, unknown>;

/** What is to be decoded. */
export interface BodyType {
  readonly kind: string;
  readonly apiVersion: string;
  readonly schema: ObjectSchema;
  /** Reads the value by other means than the schema. */
  readonly decode?: ((value: object) => Decoded) | undefined;
}

/** The body of writes of the kind's objects. */
export function bodyTypeOf({ kind, apiVersion, schema, decode }: ServedKind): BodyType {
  return { kind: kind.kind, apiVersion, schema, decode };
}

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

const fieldValidations: readonly FieldValidation[] = ['Ignore', 'Strict', 'Warn'];

/** `fieldValidation` of the query; the server's default is to warn. */
export function fieldValidationOf(query: URLSearchParams, optionsKind: string): FieldValidation {
  const value = query.get('fieldValidation') ?? '';
  if (value === '') return 'Warn';
  const found = fieldValidations.find((known) => known === value);
  if (found) return found;
  throw invalid({ group: 'meta.k8s.io', kind: optionsKind }, '', [notSupported('fieldValidation', value, fieldValidations)]);
}

/** The body as a JSON value. From the in-process connection it is one already, and not ours to change. */
export function parseBody(call: Call, expectedKind: string): unknown {
  const { body, contentType } = call;
  if (!(body instanceof Uint8Array)) {
    if (body === undefined) throw unrecognized(expectedKind, 'unexpected end of JSON input', '');
    return body;
  }
  const text = textOf(body);
  switch (contentType) {
    case 'application/json':
    case '':
      return remember(parseJson(text, expectedKind), text, 'json');
    case 'application/yaml':
      return parseYamlBody(text, expectedKind);
    default:
      throw unsupportedMediaType(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']);
  }
}

export function textOf(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}

function parseJson(text: string, expectedKind: string): unknown {
  try {
    return parseBoundedJson(text);
  } catch (error) {
    throw unrecognized(expectedKind, text.trim() === '' ? 'unexpected end of JSON input' : jsonFault(error), text);
  }
}

/** YAML 1.1, as upstream reads it (`yes` is true), but without its dates: times are strings here. */
export function parseYamlBody(text: string, expectedKind: string): unknown {
  const start = text.trimStart();
  if (start.startsWith('{')) {
    try {
      return remember(parseBoundedJson(text), text, 'json-as-yaml');
    } catch {
      // Braces are YAML too.
    }
  }
  try {
    const value: unknown = parseYaml(text, {
      version: '1.1',
      maxAliasCount: 100,
      uniqueKeys: false,
      customTags: (tags) => tags.filter((tag) => tag !== 'timestamp'),
    });
    return remember(value, text, 'yaml');
  } catch (error) {
    throw badRequest(`error decoding YAML: error converting YAML to JSON: yaml: ${yamlFault(error)} (must be of type ${expectedKind})`);
  }
}

/** How a body was written. JSON may come as YAML, as kubectl's applies do. */
type Format = 'json' | 'yaml' | 'json-as-yaml';

/** The texts that values were parsed from, for whoever wants to know what parsing does not tell. */
const sources = new WeakMap<object, { readonly text: string; readonly format: Format }>();

function remember(value: unknown, text: string, format: Format): unknown {
  if (typeof value === 'object' && value !== null) sources.set(value, { text, format });
  return value;
}

interface RepeatedKeys {
  readonly faults: readonly string[];
  /** The same, a warning each. */
  readonly warnings: readonly string[];
}

const nothingRepeated: RepeatedKeys = { faults: [], warnings: [] };

/** Keys that stand twice in the text the value was parsed from, as upstream's decoders of JSON and YAML word it. */
function repeatedKeysOf(value: object): RepeatedKeys {
  const source = sources.get(value);
  if (source === undefined) return nothingRepeated;
  const { text, format } = source;
  const paths = format === 'yaml' ? [] : repeatedJsonKeys(text, value);
  if (format === 'json') {
    const faults = paths.map((path) => `duplicate field ${JSON.stringify(path)}`);
    return { faults, warnings: faults };
  }
  if (format === 'json-as-yaml' && paths.length === 0) return nothingRepeated;
  const lines = repeatedYamlKeys(text).map(({ line, key }) => `line ${line}: key ${JSON.stringify(key)} already set in map`);
  return lines.length === 0 ? nothingRepeated : { faults: [`yaml: unmarshal errors:\n  ${lines.join('\n  ')}`], warnings: lines };
}

/** Faults of a patch's own text: keys that stand twice. */
export function repeatedPatchKeys(patch: unknown, text: string): string[] {
  return repeatedJsonKeys(text, patch).map((path) => `duplicate field ${JSON.stringify(path)}`);
}

/** What a patch made of an object is no object of the type: unlike a body it is called invalid, with what it says in place of a value. */
function invalidPatch(shown: string, why: string): ApiError {
  return invalid({ group: '', kind: '' }, '', [invalidValue('patch', shown, why)]);
}

export interface PatchOutcome {
  readonly value: unknown;
  /** A stored object whose parts, where the value has the very same, need no decoding: they become parts of the answer, and must not be changed there. */
  readonly known?: AnyObject | undefined;
  /** Faults of the patch's text. */
  readonly faults: readonly string[];
  /** The patch's text, or what came of it: what a refusal shows. */
  readonly shown: () => string;
}

/** Like {@link decodeAs}, for what a patch made of an object. Faults of the text come first. */
export function decodePatched(outcome: PatchOutcome, type: BodyType, validation: FieldValidation, warnings: string[]): AnyObject {
  const { value, known, faults, shown } = outcome;
  const { object, unknownFields } = decodeChecked(value, type, (why) => invalidPatch(shown(), why), known);
  const found = validation === 'Ignore' ? [] : [...faults, ...unknownFields.map(unknownField)];
  if (found.length > 0 && validation === 'Strict') throw invalidPatch(shown(), `strict decoding error: ${found.join(', ')}`);
  warnings.push(...found);
  return object;
}

function yamlFault(error: unknown): string {
  const message = error instanceof Error ? firstLine(error.message) : String(error);
  return message.includes('call stack size exceeded') ? 'exceeded max depth' : message;
}

function unrecognized(expectedKind: string, fault: string, text: string): ApiError {
  const shown = text === '' ? '<empty>' : text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return badRequest(
    `the object provided is unrecognized (must be of type ${expectedKind}): couldn't get version/kind; json parse error: ${fault} (${shown})`,
  );
}

function jsonFault(error: unknown): string {
  const message = error instanceof Error ? firstLine(error.message) : String(error);
  return message.includes('end of JSON input') || message.includes('Unterminated') ? 'unexpected end of JSON input' : message;
}

function firstLine(message: string): string {
  const end = message.indexOf('\n');
  return end < 0 ? message : message.slice(0, end);
}

/**
 * Checks a JSON value against the type and answers a copy of it as an object of that type. `apiVersion` and `kind` may be missing: the path says them.
 */
export function decodeAs(value: unknown, type: BodyType, validation: FieldValidation, warnings: string[]): AnyObject {
  const { object, unknownFields } = decodeChecked(value, type, (why) => cannotHandle(type, why));
  if (validation !== 'Ignore') reportStrictFaults(repeatedKeysOf(value as object), unknownFields, type, validation, warnings);
  return object;
}

/** How to treat the configuration of a server-side apply, and how to word what is wrong with its fields. */
export interface ConfigurationRules {
  readonly validation: FieldValidation;
  readonly warnings: string[];
  readonly refuse: (why: string) => Error;
}

/** Like {@link decodeAs}, for a configuration: one that sets fields the type does not have cannot be applied, whatever the client says about validation. */
export function decodeConfiguration(value: unknown, type: BodyType, { validation, warnings, refuse }: ConfigurationRules): AnyObject {
  const { object, unknownFields } = decodeChecked(value, type, refuse);
  const faults = unknownFields.map((field) => `.${field}: field not declared in schema`);
  const [fault] = faults;
  if (fault !== undefined) throw refuse(faults.length === 1 ? fault : `errors:\n${faults.map((line) => `  ${line}`).join('\n')}`);
  const repeated = validation === 'Ignore' ? nothingRepeated : repeatedKeysOf(value as object);
  if (repeated.faults.length > 0 && validation === 'Strict') throw badRequest(`error strict decoding YAML: ${repeated.faults.join(', ')}`);
  warnings.push(...repeated.warnings);
  return object;
}

interface CheckedObject {
  readonly object: AnyObject;
  readonly unknownFields: readonly string[];
}

/** A copy of the value as an object of the type, without fields the type does not have; `refuse` words what is wrong with a field. */
export function decodeChecked(value: unknown, type: BodyType, refuse: (why: string) => Error, known?: AnyObject): CheckedObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
    throw badRequest(
      `the object provided is unrecognized (must be of type ${type.kind}): couldn't get version/kind; json parse error: json: cannot unmarshal ${found} into Go value of type struct`,
    );
  }
  checkType(value, type);
  const { object, unknownFields, typeErrors } = type.decode ? type.decode(value) : decodeObject(value, type.schema, known);
  const [typeError] = typeErrors;
  if (typeError !== undefined) throw refuse(typeError);
  object['kind'] = type.kind;
  object['apiVersion'] = type.apiVersion;
  object['metadata'] ??= {};
  leaveOutEmpty(object['metadata']);
  // Decoding has checked every field against the schema; what is required is the validation's business.
  return { object: object as AnyObject, unknownFields };
}

const leftOutWhenEmpty = ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const;

/** Of an object's metadata nothing empty is kept; an empty list of managers means something. */
function leaveOutEmpty(metadata: unknown): void {
  const fields = metadata as Record<string, object | undefined>;
  for (const field of leftOutWhenEmpty) {
    const value = fields[field];
    if (value !== undefined && Object.keys(value).length === 0) delete fields[field];
  }
}

function checkType(value: object, type: BodyType): void {
  const { kind, apiVersion } = value as { kind?: unknown; apiVersion?: unknown };
  const kindFits = kind === undefined || kind === '' || kind === type.kind;
  const versionFits = apiVersion === undefined || apiVersion === '' || apiVersion === type.apiVersion;
  if (kindFits && versionFits) return;
  const shownKind = kindFits ? type.kind : kind;
  const shownVersion = versionFits ? type.apiVersion : apiVersion;
  if (typeof shownKind !== 'string' || typeof shownVersion !== 'string') {
    throw badRequest(`the object provided is unrecognized (must be of type ${type.kind}): kind and apiVersion must be strings`);
  }
  const version = shownVersion.slice(shownVersion.lastIndexOf('/') + 1);
  if (kindFits && version !== type.apiVersion.slice(type.apiVersion.lastIndexOf('/') + 1)) {
    throw badRequest(
      `${shownKind} in version "${version}" cannot be handled as a ${type.kind}: no kind "${shownKind}" is registered for version "${shownVersion}"`,
    );
  }
  if (kindFits) throw badRequest(`the API version in the data (${shownVersion}) does not match the expected API version (${type.apiVersion})`);
  throw badRequest(
    `${shownKind} in version "${version}" cannot be handled as a ${type.kind}: converting (${version}.${shownKind}) to (${type.kind}): unknown conversion`,
  );
}

function cannotHandle(type: BodyType, why: string): ApiError {
  const version = type.apiVersion.slice(type.apiVersion.lastIndexOf('/') + 1);
  return badRequest(`${type.kind} in version "${version}" cannot be handled as a ${type.kind}: ${why}`);
}

function reportStrictFaults(
  repeated: RepeatedKeys,
  unknownFields: readonly string[],
  type: BodyType,
  validation: FieldValidation,
  warnings: string[],
): void {
  if (repeated.faults.length === 0 && unknownFields.length === 0) return;
  const unknown = unknownFields.map(unknownField);
  if (validation === 'Strict') throw cannotHandle(type, `strict decoding error: ${[...repeated.faults, ...unknown].join(', ')}`);
  warnings.push(...repeated.warnings, ...unknown);
}

function unknownField(path: string): string {
  return `unknown field ${JSON.stringify(path)}`;
}
