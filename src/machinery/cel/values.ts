/**
 * Values as expressions see them: `bigint` is an int, `number` a double, `Date` a timestamp; lists are arrays; maps are plain objects where all keys are
 * texts, and `Map`s otherwise. What JavaScript has no type for is here, and what is equal to and less than what.
 */
import { CelError } from './errors.ts';
import type { CelType } from './types.ts';

export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

export class Duration {
  readonly nanoseconds: bigint;
  constructor(nanoseconds: bigint) {
    this.nanoseconds = nanoseconds;
  }
}

/** A value that may be absent. */
export class Optional {
  readonly value: unknown;
  readonly isPresent: boolean;

  constructor(isPresent: boolean, value: unknown) {
    this.isPresent = isPresent;
    this.value = value;
  }

  static of(value: unknown): Optional {
    return new Optional(true, value);
  }
}

export const absent = new Optional(false, undefined);

/** A type as a value: `int`, or `type(1)`. */
export class TypeValue {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Has fields that are worked out when they are asked for. */
export abstract class FieldSource {
  /** Undefined when the field is not set. */
  abstract get(field: string): unknown;
}

/** What `Object{spec: …}` makes. */
export class Constructed extends FieldSource {
  readonly typeName: string;
  readonly fields: ReadonlyMap<string, unknown>;

  constructor(typeName: string, fields: ReadonlyMap<string, unknown>) {
    super();
    this.typeName = typeName;
    this.fields = fields;
  }

  get(field: string): unknown {
    return this.fields.get(field);
  }
}

/** A value only functions look into; classes of library types extend it. */
export abstract class OpaqueValue {
  abstract readonly typeName: string;
  equals(other: OpaqueValue): boolean {
    return this === other;
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export type ValueKind = CelType['kind'] | 'unknown';

export function kindOf(value: unknown): ValueKind {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'bigint':
      return 'int';
    case 'number':
      return 'double';
    case 'boolean':
      return 'bool';
    case 'object':
      return value === null ? 'null' : objectKind(value);
    default:
      return 'unknown';
  }
}

function objectKind(value: object): ValueKind {
  if (Array.isArray(value)) return 'list';
  if (value instanceof FieldSource) return 'object';
  if (value instanceof Optional) return 'optional';
  if (value instanceof Uint) return 'uint';
  if (value instanceof Date) return 'timestamp';
  if (value instanceof Duration) return 'duration';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof TypeValue) return 'type';
  if (value instanceof OpaqueValue) return 'opaque';
  return 'map';
}

export function typeNameOf(value: unknown): string {
  const kind = kindOf(value);
  switch (kind) {
    case 'timestamp':
      return 'google.protobuf.Timestamp';
    case 'duration':
      return 'google.protobuf.Duration';
    case 'null':
      return 'null_type';
    case 'optional':
      return 'optional_type';
    case 'object':
      return value instanceof Constructed ? value.typeName : 'object';
    case 'opaque':
      return (value as OpaqueValue).typeName;
    default:
      return kind;
  }
}

/** Whether a value met at run time can be what a signature asks for. What is inside of lists and maps is not looked at. */
export function conforms(value: unknown, type: CelType): boolean {
  if (type.kind === 'dyn' || type.kind === 'parameter') return true;
  const kind = kindOf(value);
  if (kind === 'opaque' && type.kind === 'opaque') return (value as OpaqueValue).typeName === type.name;
  if (type.kind === 'object') return kind === 'object' || kind === 'map';
  // What a schema calls a map may be an object with fields to the checker.
  return kind === type.kind || (kind === 'object' && type.kind === 'map');
}

export function noOverload(what = ''): CelError {
  return new CelError(what === '' ? 'no such overload' : `no such overload: ${what}`);
}

// ---- maps

export function isMap(value: unknown): value is Fields | ReadonlyMap<unknown, unknown> {
  return kindOf(value) === 'map';
}

/** Numbers that are equal are one key. */
export function keyOf(value: unknown): unknown {
  if (value instanceof Uint) return value.value;
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value;
}

export function mapGet(map: Fields | ReadonlyMap<unknown, unknown>, key: unknown): unknown {
  if (map instanceof Map) return map.get(keyOf(key)) as unknown;
  return typeof key === 'string' && Object.hasOwn(map, key) ? (map as Fields)[key] : undefined;
}

export function mapEntries(map: Fields | ReadonlyMap<unknown, unknown>): [unknown, unknown][] {
  return map instanceof Map ? [...map] : Object.entries(map);
}

export function mapSize(map: Fields | ReadonlyMap<unknown, unknown>): number {
  return map instanceof Map ? map.size : Object.keys(map).length;
}

export function mapOfEntries(entries: readonly (readonly [unknown, unknown])[]): Fields | ReadonlyMap<unknown, unknown> {
  const asMap = new Map<unknown, unknown>();
  let isPlain = true;
  for (const [key, value] of entries) {
    const kind = kindOf(key);
    if (kind !== 'string' && kind !== 'int' && kind !== 'uint' && kind !== 'bool') throw new CelError(`unsupported key type: ${typeNameOf(key)}`);
    const normal = keyOf(key);
    if (asMap.has(normal)) throw new CelError(`insert failed: key ${String(normal)} already exists`);
    if (kind !== 'string') isPlain = false;
    asMap.set(normal, value);
  }
  if (!isPlain) return asMap;
  // Without a prototype any text is a key like others.
  return Object.assign(Object.create(null) as Record<string, unknown>, Object.fromEntries(asMap as Map<string, unknown>));
}

// ---- equality and order

export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  const kind = kindOf(a);
  const other = kindOf(b);
  if (isNumeric(kind) && isNumeric(other)) return compareNumbers(a, b) === 0;
  if (kind !== other) return false;
  switch (kind) {
    case 'list':
      return listsEqual(a as readonly unknown[], b as readonly unknown[]);
    case 'map':
      return mapsEqual(a as Fields, b as Fields);
    case 'bytes':
      return Buffer.compare(a as Uint8Array, b as Uint8Array) === 0;
    case 'timestamp':
      return (a as Date).getTime() === (b as Date).getTime();
    case 'duration':
      return (a as Duration).nanoseconds === (b as Duration).nanoseconds;
    case 'type':
      return (a as TypeValue).name === (b as TypeValue).name;
    case 'optional':
      return optionalsEqual(a as Optional, b as Optional);
    case 'opaque':
      return typeNameOf(a) === typeNameOf(b) && (a as OpaqueValue).equals(b as OpaqueValue);
    case 'object':
      return a instanceof Constructed && b instanceof Constructed && a.typeName === b.typeName && mapsEqual(a.fields, b.fields);
    default:
      return false;
  }
}

function isNumeric(kind: ValueKind): boolean {
  return kind === 'int' || kind === 'uint' || kind === 'double';
}

function listsEqual(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => isEqual(item, b[index]));
}

function mapsEqual(a: Fields | ReadonlyMap<unknown, unknown>, b: Fields | ReadonlyMap<unknown, unknown>): boolean {
  if (mapSize(a) !== mapSize(b)) return false;
  return mapEntries(a).every(([key, value]) => {
    const other = mapGet(b, key);
    return other !== undefined && isEqual(value, other);
  });
}

function optionalsEqual(a: Optional, b: Optional): boolean {
  return a.isPresent === b.isPresent && (!a.isPresent || isEqual(a.value, b.value));
}

function numberIn(value: unknown): bigint | number {
  return value instanceof Uint ? value.value : (value as bigint | number);
}

/** NaN for what has no order. */
function compareNumbers(a: unknown, b: unknown): number {
  const x = numberIn(a);
  const y = numberIn(b);
  return x < y ? -1 : x > y ? 1 : x <= y && x >= y ? 0 : Number.NaN;
}

/** Less than, equal to or greater than 0; throws for what has no order. NaN is neither. */
export function compare(a: unknown, b: unknown): number {
  const kind = kindOf(a);
  const other = kindOf(b);
  if (isNumeric(kind) && isNumeric(other)) return compareNumbers(a, b);
  if (kind !== other) throw noOverload();
  switch (kind) {
    case 'string':
      return compareTexts(a as string, b as string);
    case 'bool':
      return Number(a) - Number(b);
    case 'bytes':
      return Buffer.compare(a as Uint8Array, b as Uint8Array);
    case 'timestamp':
      return (a as Date).getTime() - (b as Date).getTime();
    case 'duration':
      return Number((a as Duration).nanoseconds - (b as Duration).nanoseconds);
    case 'opaque':
      return compareOpaque(a as OpaqueValue, b as OpaqueValue);
    default:
      throw noOverload();
  }
}

/** By code points, as UTF-8 bytes order them. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

/** For lists of library values that know their order. */
export interface Comparable {
  compareWith(other: OpaqueValue): number;
}

function compareOpaque(a: OpaqueValue, b: OpaqueValue): number {
  if (!('compareWith' in a) || a.typeName !== b.typeName) throw noOverload();
  return (a as OpaqueValue & Comparable).compareWith(b);
}

// ---- sizes, for costs

/** Characters of a text, bytes, items, entries; 1 for anything else. */
export function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length;
  return isMap(value) ? mapSize(value) : 1;
}
