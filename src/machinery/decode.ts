/**
 * Schema-directed decoding: a checked copy of a JSON value with only the fields its schema knows. Every write runs it, so each schema is turned
 * into a decoder once, and paths are put together only when something is wrong. Field names are case-sensitive; nulls are dropped, as
 * upstream's decoder leaves a field that is null at its zero value.
 */
import { parseQuantity, QuantityError } from './quantity.ts';
import type { ListSchema, MapSchema, ObjectSchema, ScalarSchema, Schema } from './schema.ts';
import { normalTime } from './time.ts';

export interface Decoded {
  object: Record<string, unknown>;
  /** Paths of fields the schema does not have, which were left out: `spec.containers[0].imagee`. */
  unknownFields: string[];
  /** One sentence for each value of a wrong type, in the words of upstream's JSON decoder; the value was left out. */
  typeErrors: string[];
}

/** What went wrong below the value being decoded; the path grows from its end as the decoders return. */
interface Problem {
  readonly unknown: boolean;
  /** Segments, innermost first: `.name` or `[0]`. */
  readonly path: string[];
  /** Name of the innermost object with a name, for the message. */
  owner: string;
  readonly found: string;
  readonly wanted: string;
}

interface Context {
  readonly problems: Problem[];
  depth: number;
  /** What of the value was decoded before: fields of it, and of its metadata, that are the very same are taken as they are. */
  readonly known: Readonly<Record<string, unknown>> | undefined;
}

/** The decoded value, or undefined when it is to be left out. */
type Decoder = (value: unknown, context: Context) => unknown;

/** Deeper values are refused: nothing real nests so, and the stack is finite. */
const maxDepth = 500;

/**
 * Never throws: what is wrong is listed, and left out of `object`. `known` is what an earlier decoding made of much the same value: parts that are the very
 * same in both are shared with it.
 */
export function decodeObject(value: unknown, schema: ObjectSchema, known?: Readonly<Record<string, unknown>>): Decoded {
  const context: Context = { problems: [], depth: 0, known };
  const object = decoderOf(schema)(value, context) as Record<string, unknown> | undefined;
  const decoded: Decoded = { object: object ?? {}, unknownFields: [], typeErrors: [] };
  if (object === undefined && context.problems.length === 0)
    decoded.typeErrors.push(`json: cannot unmarshal null into Go value of type ${goType(schema)}`);
  for (const problem of context.problems) {
    if (problem.unknown) decoded.unknownFields.push(pathOf(problem));
    else decoded.typeErrors.push(sentence(problem));
  }
  return decoded;
}

const decoders = new WeakMap<Schema, Decoder>();

function decoderOf(schema: Schema): Decoder {
  let decoder = decoders.get(schema);
  if (decoder === undefined) {
    decoder = compile(schema);
    decoders.set(schema, decoder);
  }
  return decoder;
}

function compile(schema: Schema): Decoder {
  switch (schema.type) {
    case 'object':
      return objectDecoder(schema);
    case 'list':
      return listDecoder(schema);
    case 'map':
      return mapDecoder(schema);
    case 'any':
      return decodeAny;
    default:
      return scalarDecoder(schema);
  }
}

function objectDecoder(schema: ObjectSchema): Decoder {
  // Filled as fields first occur: schemas may refer to themselves.
  const fields = new Map<string, Decoder>();
  const owner = schema.name.slice(schema.name.lastIndexOf('.') + 1);
  const wanted = goType(schema);

  function fieldDecoder(key: string): Decoder | undefined {
    const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    if (property === undefined) return schema.preserveUnknown ? decodeAny : undefined;
    const decoder = decoderOf(property.schema);
    fields.set(key, decoder);
    return decoder;
  }

  return (value, context) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(context, value, wanted);
    if (++context.depth > maxDepth) return tooDeep(context, wanted);
    const { problems } = context;
    const known = context.known === undefined ? undefined : knownAt(context, schema);
    const result: Record<string, unknown> = {};
    for (const key in value) {
      const item = (value as Record<string, unknown>)[key];
      if (known !== undefined && isKnown(known, key, item)) {
        put(result, key, item);
        continue;
      }
      const decoder = fields.get(key) ?? fieldDecoder(key);
      const before = problems.length;
      if (decoder === undefined) problems.push({ unknown: true, path: [], owner, found: '', wanted: '' });
      else if (item !== null && item !== undefined) {
        const decoded = decoder(item, context);
        if (decoded !== undefined) put(result, key, decoded);
      }
      if (problems.length > before) extend(problems, before, `.${key}`, owner);
    }
    context.depth--;
    return result;
  };
}

/** What is known of the object being decoded: of the whole, and of its metadata. */
function knownAt({ known, depth }: Context, { name }: ObjectSchema): Readonly<Record<string, unknown>> | undefined {
  if (depth === 1) return known;
  const isMetadata = depth === 2 && name.endsWith('.meta.v1.ObjectMeta');
  return isMetadata ? (known?.['metadata'] as Readonly<Record<string, unknown>> | undefined) : undefined;
}

/** Metadata as a whole is never shared: every write has its own. */
function isKnown(known: Readonly<Record<string, unknown>>, key: string, item: unknown): boolean {
  return typeof item === 'object' && item !== null && key !== 'metadata' && Object.hasOwn(known, key) && known[key] === item;
}

function listDecoder(schema: ListSchema): Decoder {
  const wanted = goType(schema);
  const zero = zeroOf(schema.items);
  let items: Decoder | undefined;
  return (value, context) => {
    if (!Array.isArray(value)) return refuse(context, value, wanted);
    items ??= decoderOf(schema.items);
    const { problems } = context;
    const result: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      const before = problems.length;
      const decoded = item === null || item === undefined ? zero() : items(item, context);
      if (decoded !== undefined) result.push(decoded);
      if (problems.length > before) extend(problems, before, `[${i}]`, '');
    }
    return result;
  };
}

function mapDecoder(schema: MapSchema): Decoder {
  const wanted = goType(schema);
  const zero = zeroOf(schema.values);
  let values: Decoder | undefined;
  return (value, context) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(context, value, wanted);
    values ??= decoderOf(schema.values);
    const { problems } = context;
    const result: Record<string, unknown> = {};
    for (const key in value) {
      const item = (value as Record<string, unknown>)[key];
      const before = problems.length;
      const decoded = item === null || item === undefined ? zero() : values(item, context);
      if (decoded !== undefined) put(result, key, decoded);
      if (problems.length > before) extend(problems, before, `.${key}`, '');
    }
    return result;
  };
}

function decodeAny(value: unknown, context: Context): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (++context.depth > maxDepth) return tooDeep(context, 'interface {}');
  let result: unknown;
  if (Array.isArray(value)) result = value.map((item) => decodeAny(item, context) ?? null);
  else {
    const record: Record<string, unknown> = {};
    for (const key in value) {
      const item = decodeAny((value as Record<string, unknown>)[key], context);
      if (item !== undefined) put(record, key, item);
    }
    result = record;
  }
  context.depth--;
  return result;
}

function scalarDecoder(schema: ScalarSchema): Decoder {
  const wanted = goType(schema);
  switch (schema.type) {
    case 'string':
      return (value, context) => (typeof value === 'string' ? value : refuse(context, value, wanted));
    case 'boolean':
      return (value, context) => (typeof value === 'boolean' ? value : refuse(context, value, wanted));
    case 'number':
      return (value, context) => (typeof value === 'number' ? value : refuse(context, value, wanted));
    case 'integer': {
      // Beyond 2^53 a JSON number has already lost digits; nothing in the API needs them.
      const [min, max] = schema.format === 'int32' ? [-2147483648, 2147483647] : [-(2 ** 63), 2 ** 63];
      return (value, context) =>
        Number.isInteger(value) && (value as number) >= min && (value as number) <= max ? value : refuse(context, value, wanted);
    }
    case 'int-or-string':
      return (value, context) => {
        if (typeof value === 'string' || (Number.isInteger(value) && Math.abs(value as number) <= 2147483647)) return value;
        return refuse(context, value, wanted);
      };
    case 'quantity':
      return decodeQuantity;
    case 'time':
    case 'micro-time': {
      const decimals = schema.type === 'time' ? 0 : 6;
      return (value, context) => {
        if (typeof value !== 'string') return refuse(context, value, wanted);
        const time = normalTime(value, decimals);
        return (
          time ??
          fail(context, `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(value)} as RFC 3339`)
        );
      };
    }
    case 'bytes':
      return (value, context) => {
        if (typeof value !== 'string') return refuse(context, value, wanted);
        const text = value.includes('\n') || value.includes('\r') ? value.replaceAll(/[\r\n]/g, '') : value;
        return text.length % 4 === 0 && base64.test(text) ? text : fail(context, `illegal base64 data at input byte ${illegalByte(text)}`);
      };
  }
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

function illegalByte(text: string): number {
  const legal = /^[A-Za-z0-9+/]*/.exec(text)?.[0].length ?? 0;
  return legal === text.length ? text.length - (text.length % 4) : legal;
}

function decodeQuantity(value: unknown, context: Context): unknown {
  if (typeof value !== 'string' && typeof value !== 'number') return fail(context, 'unable to parse quantity: it must be a string or a number');
  try {
    return parseQuantity(typeof value === 'string' ? value.trim() : value).toString();
  } catch (error) {
    if (error instanceof QuantityError) return fail(context, error.message);
    throw error;
  }
}

/** What null stands for where it cannot be left out, as an item of a list or a value of a map. */
function zeroOf(schema: Schema): () => unknown {
  switch (schema.type) {
    case 'object':
    case 'map':
      return () => ({});
    case 'list':
      return () => [];
    case 'integer':
    case 'number':
    case 'int-or-string':
      return () => 0;
    case 'boolean':
      return () => false;
    case 'quantity':
      return () => '0';
    case 'any':
      return () => null;
    default:
      return () => '';
  }
}

function refuse(context: Context, value: unknown, wanted: string): undefined {
  context.problems.push({ unknown: false, path: [], owner: '', found: jsonName(value), wanted });
  return undefined;
}

/** A value of the right JSON type that means nothing. */
function fail(context: Context, message: string): undefined {
  context.problems.push({ unknown: false, path: [], owner: '', found: '', wanted: message });
  return undefined;
}

function tooDeep(context: Context, wanted: string): undefined {
  context.depth--;
  context.problems.push({ unknown: false, path: [], owner: '', found: 'too deeply nested value', wanted });
  return undefined;
}

function extend(problems: readonly Problem[], from: number, segment: string, owner: string): void {
  for (let i = from; i < problems.length; i++) {
    const problem = problems[i];
    if (problem === undefined) continue;
    problem.path.push(segment);
    if (problem.owner === '') problem.owner = owner;
  }
}

function pathOf(problem: Problem): string {
  const path = problem.path.toReversed().join('');
  return path.startsWith('.') ? path.slice(1) : path;
}

function sentence(problem: Problem): string {
  const path = pathOf(problem);
  if (problem.found === '') return path === '' ? problem.wanted : `${path}: ${problem.wanted}`;
  if (path === '') return `json: cannot unmarshal ${problem.found} into Go value of type ${problem.wanted}`;
  const owner = problem.owner === '' ? '' : `${problem.owner}.`;
  return `json: cannot unmarshal ${problem.found} into Go struct field ${owner}${path.replaceAll(/\[\d+\]/g, '')} of type ${problem.wanted}`;
}

function jsonName(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 2147483648 ? 'number' : `number ${value}`;
  return value === null ? 'null' : typeof value;
}

/** The type as upstream's decoder would name it. */
function goType(schema: Schema): string {
  switch (schema.type) {
    case 'object':
      return schema.name === '' ? 'map[string]interface {}' : schema.name.split('.').slice(-2).join('.');
    case 'list':
      return `[]${goType(schema.items)}`;
    case 'map':
      return `map[string]${goType(schema.values)}`;
    case 'integer':
      return schema.format === 'int32' ? 'int32' : 'int64';
    case 'number':
      return 'float64';
    case 'boolean':
      return 'bool';
    case 'quantity':
      return 'resource.Quantity';
    case 'int-or-string':
      return 'intstr.IntOrString';
    case 'time':
      return 'v1.Time';
    case 'micro-time':
      return 'v1.MicroTime';
    case 'bytes':
      return '[]uint8';
    case 'any':
      return 'interface {}';
    case 'string':
      return 'string';
  }
}

/** Keys come from clients: `__proto__` must become a plain field. */
function put(record: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
  else record[key] = value;
}
