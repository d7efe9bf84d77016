/** The types of CEL: what the checker reckons with, with the bounds on sizes that cost estimates need. See https://github.com/google/cel-spec */

export type CelType = SimpleType | ListType | MapType | OptionalType | TypeType | ObjectType | OpaqueType | ParameterType;

export interface SimpleType {
  readonly kind: 'int' | 'uint' | 'double' | 'bool' | 'string' | 'bytes' | 'timestamp' | 'duration' | 'null' | 'dyn';
  /** The longest text, in characters, or bytes, where something bounds it. */
  readonly maxSize?: number | undefined;
}

export interface ListType {
  readonly kind: 'list';
  readonly item: CelType;
  readonly maxSize?: number | undefined;
}

export interface MapType {
  readonly kind: 'map';
  readonly key: CelType;
  readonly value: CelType;
  readonly maxSize?: number | undefined;
}

export interface OptionalType {
  readonly kind: 'optional';
  readonly of: CelType;
}

/** The type of `int`, the name. */
export interface TypeType {
  readonly kind: 'type';
  readonly of: CelType;
}

/** Has fields, known by name. */
export interface ObjectType {
  readonly kind: 'object';
  readonly name: string;
  /** Undefined when there is no such field. Types that contain themselves are answered one step at a time. */
  readonly field: (name: string) => CelType | undefined;
}

/** Only functions know what to do with it. */
export interface OpaqueType {
  readonly kind: 'opaque';
  readonly name: string;
}

/** Stands for any one type in a function's signature. */
export interface ParameterType {
  readonly kind: 'parameter';
  readonly name: string;
}

export const dyn: CelType = { kind: 'dyn' };
export const int: CelType = { kind: 'int' };
export const uint: CelType = { kind: 'uint' };
export const double: CelType = { kind: 'double' };
export const bool: CelType = { kind: 'bool' };
export const string: CelType = { kind: 'string' };
export const bytes: CelType = { kind: 'bytes' };
export const timestamp: CelType = { kind: 'timestamp' };
export const duration: CelType = { kind: 'duration' };
export const nullType: CelType = { kind: 'null' };

export function listOf(item: CelType, maxSize?: number): ListType {
  return { kind: 'list', item, maxSize };
}

export function mapOf(key: CelType, value: CelType, maxSize?: number): MapType {
  return { kind: 'map', key, value, maxSize };
}

export function optionalOf(of: CelType): OptionalType {
  return { kind: 'optional', of };
}

export function objectOf(name: string, fields: Readonly<Record<string, CelType>>): ObjectType {
  return { kind: 'object', name, field: (key) => (Object.hasOwn(fields, key) ? fields[key] : undefined) };
}

export function opaque(name: string): OpaqueType {
  return { kind: 'opaque', name };
}

const shownNames: Readonly<Partial<Record<CelType['kind'], string>>> = {
  timestamp: 'google.protobuf.Timestamp',
  duration: 'google.protobuf.Duration',
};

export function shownType(type: CelType): string {
  switch (type.kind) {
    case 'list':
      return `list(${shownType(type.item)})`;
    case 'map':
      return `map(${shownType(type.key)}, ${shownType(type.value)})`;
    case 'optional':
      return `optional_type(${shownType(type.of)})`;
    case 'type':
      return `type(${shownType(type.of)})`;
    case 'object':
    case 'opaque':
    case 'parameter':
      return type.name;
    default:
      return shownNames[type.kind] ?? type.kind;
  }
}

/** What parameters of a signature have turned out to be. */
export type Bindings = Map<string, CelType>;

/** Whether a value of type `given` may stand where `wanted` is asked for; parameters of `wanted` are bound on the way. */
export function isAssignable(wanted: CelType, given: CelType, bindings: Bindings): boolean {
  if (wanted.kind === 'parameter') return bind(wanted.name, given, bindings);
  if (wanted.kind === 'dyn' || given.kind === 'dyn') return bindAll(wanted, bindings);
  if (given.kind === 'null') return wanted.kind === 'null' || isNullable(wanted);
  if (wanted.kind === 'null') return isNullable(given);
  switch (wanted.kind) {
    case 'list':
      return given.kind === 'list' && isAssignable(wanted.item, given.item, bindings);
    case 'map':
      return given.kind === 'map' && isAssignable(wanted.key, given.key, bindings) && isAssignable(wanted.value, given.value, bindings);
    case 'optional':
      return given.kind === 'optional' && isAssignable(wanted.of, given.of, bindings);
    case 'object':
    case 'opaque':
      return given.kind === wanted.kind && given.name === wanted.name;
    default:
      return given.kind === wanted.kind;
  }
}

function isNullable({ kind }: CelType): boolean {
  return kind === 'object' || kind === 'opaque' || kind === 'timestamp' || kind === 'duration' || kind === 'optional';
}

function bind(name: string, given: CelType, bindings: Bindings): boolean {
  const known = bindings.get(name);
  if (known === undefined || known.kind === 'dyn') {
    bindings.set(name, known ?? given);
    return true;
  }
  const joined = join(known, given);
  if (joined === undefined) return false;
  bindings.set(name, joined);
  return true;
}

/** A dynamic value says nothing about the parameters in what was asked for. */
function bindAll(wanted: CelType, bindings: Bindings): boolean {
  switch (wanted.kind) {
    case 'list':
      return isAssignable(wanted.item, dyn, bindings);
    case 'map':
      return isAssignable(wanted.key, dyn, bindings) && isAssignable(wanted.value, dyn, bindings);
    case 'optional':
      return isAssignable(wanted.of, dyn, bindings);
    default:
      return true;
  }
}

/** The one type two branches have in common; undefined for none. */
export function join(a: CelType, b: CelType): CelType | undefined {
  if (a === b) return a;
  if (a.kind === 'dyn' || b.kind === 'dyn') return dyn;
  if (a.kind === 'list' && b.kind === 'list') {
    const item = join(a.item, b.item);
    return item && listOf(item, larger(a.maxSize, b.maxSize));
  }
  if (a.kind === 'map' && b.kind === 'map') {
    const key = join(a.key, b.key);
    const value = join(a.value, b.value);
    return key && value && mapOf(key, value, larger(a.maxSize, b.maxSize));
  }
  if (a.kind === 'optional' && b.kind === 'optional') {
    const of = join(a.of, b.of);
    return of && optionalOf(of);
  }
  if (a.kind === 'null' && isNullable(b)) return b;
  if (!isAssignable(a, b, new Map())) return undefined;
  if ('maxSize' in a && 'maxSize' in b && a.maxSize !== b.maxSize) return { ...a, maxSize: larger(a.maxSize, b.maxSize) };
  return a;
}

function larger(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.max(a, b);
}

/** A signature's type with its parameters filled in. */
export function substitute(type: CelType, bindings: Bindings): CelType {
  switch (type.kind) {
    case 'parameter':
      return bindings.get(type.name) ?? dyn;
    case 'list':
      return listOf(substitute(type.item, bindings), type.maxSize);
    case 'map':
      return mapOf(substitute(type.key, bindings), substitute(type.value, bindings), type.maxSize);
    case 'optional':
      return optionalOf(substitute(type.of, bindings));
    case 'type':
      return { kind: 'type', of: substitute(type.of, bindings) };
    default:
      return type;
  }
}
