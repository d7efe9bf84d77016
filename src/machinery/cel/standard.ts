/** The functions and operators CEL itself defines: https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions */
import { patternOf } from '../re2-pattern.ts';
import { CelError } from './errors.ts';
import type { Functions } from './overloads.ts';
import { atTime, between, bounded, dayOfYear, durationOf, durationText, inZone, later, timestampOf, timestampText } from './time.ts';
import { absent, compare, type Fields, isEqual, mapGet, mapSize, Optional, sizeOf, type Duration, TypeValue, typeNameOf, Uint } from './values.ts';

/** Reading a text costs a tenth of a unit a character. */
export const perCharacter = 0.1;
/** A pattern costs a quarter of a unit a character, for each ten characters it is held against. */
const perPatternCharacter = 0.25;

export function traversal(size: number): number {
  return Math.ceil(size * perCharacter);
}

export function patternCost(text: number, pattern: number): number {
  return Math.ceil((text + 1) * perCharacter) * Math.ceil(pattern * perPatternCharacter);
}

export function addStandard(functions: Functions): void {
  for (const add of [logic, comparisons, arithmetic, texts, containers, conversions, times, optionals]) add(functions);
}

function logic(functions: Functions): void {
  // The first three are evaluated by the evaluator, which need not look at all operands.
  const unused = (): never => {
    throw new CelError('no such overload');
  };
  functions
    .global('_&&_(bool, bool): bool', unused, { cost: () => 0 })
    .global('_||_(bool, bool): bool', unused, { cost: () => 0 })
    .global('_?_:_(bool, A, A): A', unused, { cost: () => 0 })
    .global('!_(bool): bool', (value: boolean) => !value);
}

function comparisons(functions: Functions): void {
  const smaller = { cost: (a: number, b: number) => Math.min(a, b) * perCharacter };
  functions.global('_==_(A, A): bool', isEqual, smaller).global('_!=_(A, A): bool', (a: unknown, b: unknown) => !isEqual(a, b), smaller);
  const numbers = ['int', 'uint', 'double'];
  const pairs = [
    ...['bool', 'string', 'bytes', 'timestamp', 'duration'].map((type) => [type, type]),
    ...numbers.flatMap((a) => numbers.map((b) => [a, b])),
  ];
  for (const [a, b] of pairs) {
    functions
      .global(`_<_(${a}, ${b}): bool`, (x: unknown, y: unknown) => compare(x, y) < 0, smaller)
      .global(`_<=_(${a}, ${b}): bool`, (x: unknown, y: unknown) => compare(x, y) <= 0, smaller)
      .global(`_>_(${a}, ${b}): bool`, (x: unknown, y: unknown) => compare(x, y) > 0, smaller)
      .global(`_>=_(${a}, ${b}): bool`, (x: unknown, y: unknown) => compare(x, y) >= 0, smaller);
  }
}

function whole(value: bigint): bigint {
  if (value !== BigInt.asIntN(64, value)) throw new CelError('integer overflow');
  return value;
}

function unsigned(value: bigint): Uint {
  if (value !== BigInt.asUintN(64, value)) throw new CelError('unsigned integer overflow');
  return new Uint(value);
}

function divisor(value: bigint, what: string): bigint {
  if (value === 0n) throw new CelError(what);
  return value;
}

function arithmetic(functions: Functions): void {
  const operators: readonly [name: string, onInts: (a: bigint, b: bigint) => bigint, onDoubles?: (a: number, b: number) => number][] = [
    ['_+_', (a, b) => a + b, (a, b) => a + b],
    ['_-_', (a, b) => a - b, (a, b) => a - b],
    ['_*_', (a, b) => a * b, (a, b) => a * b],
    ['_/_', (a, b) => a / divisor(b, 'division by zero'), (a, b) => a / b],
    ['_%_', (a, b) => a % divisor(b, 'modulus by zero')],
  ];
  for (const [name, onInts, onDoubles] of operators) {
    functions
      .global(`${name}(int, int): int`, (a: bigint, b: bigint) => whole(onInts(a, b)))
      .global(`${name}(uint, uint): uint`, (a: Uint, b: Uint) => unsigned(onInts(a.value, b.value)));
    if (onDoubles) functions.global(`${name}(double, double): double`, onDoubles);
  }
  const joined = { cost: (a: number, b: number) => (a + b) * perCharacter, resultSize: (a: number, b: number) => a + b };
  functions
    .global('-_(int): int', (a: bigint) => whole(-a))
    .global('-_(double): double', (a: number) => -a)
    .global('_+_(string, string): string', (a: string, b: string) => a + b, joined)
    .global('_+_(bytes, bytes): bytes', (a: Uint8Array, b: Uint8Array) => new Uint8Array(Buffer.concat([a, b])), joined)
    .global('_+_(list<A>, list<A>): list<A>', (a: readonly unknown[], b: readonly unknown[]) => [...a, ...b], joined)
    .global('_+_(timestamp, duration): timestamp', (time: Date, by: Duration) => later(time, by, 1))
    .global('_+_(duration, timestamp): timestamp', (by: Duration, time: Date) => later(time, by, 1))
    .global('_-_(timestamp, duration): timestamp', (time: Date, by: Duration) => later(time, by, -1))
    .global('_-_(timestamp, timestamp): duration', between)
    .global('_+_(duration, duration): duration', (a: Duration, b: Duration) => bounded(a.nanoseconds + b.nanoseconds))
    .global('_-_(duration, duration): duration', (a: Duration, b: Duration) => bounded(a.nanoseconds - b.nanoseconds));
}

function texts(functions: Functions): void {
  const argument = { cost: (_: number, part: number) => part * perCharacter };
  const both = { cost: (text: number, part: number) => Math.ceil(text * perCharacter) * Math.ceil(part * perCharacter) };
  const pattern = { cost: patternCost };
  functions
    .method('string.contains(string): bool', (text: string, part: string) => text.includes(part), both)
    .method('string.startsWith(string): bool', (text: string, part: string) => text.startsWith(part), argument)
    .method('string.endsWith(string): bool', (text: string, part: string) => text.endsWith(part), argument)
    .method('string.matches(string): bool', (text: string, regex: string) => patternOf(regex).test(text), pattern)
    .global('matches(string, string): bool', (text: string, regex: string) => patternOf(regex).test(text), pattern);
}

function characters(text: string): bigint {
  return BigInt(Array.from(text).length);
}

function containers(functions: Functions): void {
  const listCost = { cost: (_: number, list: number) => list };
  for (const signature of ['size(string): int', 'string.size(): int']) define(functions, signature, characters);
  for (const type of ['bytes', 'list<A>']) {
    for (const signature of [`size(${type}): int`, `${type}.size(): int`]) define(functions, signature, (value: unknown) => BigInt(sizeOf(value)));
  }
  for (const signature of ['size(map<A, B>): int', 'map<A, B>.size(): int']) define(functions, signature, (map: Fields) => BigInt(mapSize(map)));
  functions
    .global('@in(A, list<A>): bool', (item: unknown, list: readonly unknown[]) => list.some((other) => isEqual(item, other)), listCost)
    .global('@in(A, map<A, B>): bool', (key: unknown, map: Fields) => mapGet(map, key) !== undefined)
    // Done by the evaluator; here for their types.
    .global('_[_](list<A>, int): A', (list: readonly unknown[], index: bigint) => list[Number(index)])
    .global('_[_](map<A, B>, A): B', (map: Fields, key: unknown) => mapGet(map, key));
}

function define(functions: Functions, signature: string, run: (...args: never[]) => unknown): void {
  if (signature.startsWith('size(')) functions.global(signature, run);
  else functions.method(signature, run);
}

function parsedInt(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw new CelError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return whole(BigInt(text.replace(/^\+/, '')));
}

function parsedUint(text: string): Uint {
  if (!/^\d+$/.test(text)) throw new CelError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  return unsigned(BigInt(text));
}

function parsedDouble(text: string): number {
  const special: Readonly<Record<string, number>> = { NaN: Number.NaN, Inf: Infinity, '+Inf': Infinity, '-Inf': -Infinity };
  if (Object.hasOwn(special, text)) return special[text] ?? Number.NaN;
  const value = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw new CelError(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
  return value;
}

function parsedBool(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw new CelError(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function truncated(value: number): bigint {
  if (!Number.isFinite(value)) throw new CelError('integer overflow');
  return BigInt(Math.trunc(value));
}

export function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const text = String(value);
  // Go writes at least two digits of an exponent.
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CelError('invalid UTF-8 in bytes, cannot convert to string');
  }
}

function conversions(functions: Functions): void {
  const read = { cost: (text: number) => 1 + text * perCharacter, resultSize: (text: number) => text };
  const same = (value: unknown): unknown => value;
  functions
    .global('dyn(A): dyn', same)
    .global('type(A): type<A>', (value: unknown) => new TypeValue(typeNameOf(value)))
    .global('bool(bool): bool', same)
    .global('bool(string): bool', parsedBool)
    .global('int(int): int', same)
    .global('int(uint): int', ({ value }: Uint) => whole(value))
    .global('int(double): int', (value: number) => whole(truncated(value)))
    .global('int(string): int', parsedInt)
    .global('int(timestamp): int', (time: Date) => BigInt(Math.floor(time.getTime() / 1000)))
    .global('int(duration): int', ({ nanoseconds }: Duration) => nanoseconds)
    .global('uint(uint): uint', same)
    .global('uint(int): uint', (value: bigint) => unsigned(value))
    .global('uint(double): uint', (value: number) => unsigned(truncated(value)))
    .global('uint(string): uint', parsedUint)
    .global('double(double): double', same)
    .global('double(int): double', (value: bigint) => Number(value))
    .global('double(uint): double', ({ value }: Uint) => Number(value))
    .global('double(string): double', parsedDouble)
    .global('string(string): string', same)
    .global('string(bool): string', (value: boolean) => String(value), { resultSize: () => 5 })
    .global('string(int): string', (value: bigint) => String(value), { resultSize: () => 20 })
    .global('string(uint): string', ({ value }: Uint) => String(value), { resultSize: () => 20 })
    .global('string(double): string', doubleText, { resultSize: () => 26 })
    .global('string(bytes): string', utf8, read)
    .global('string(timestamp): string', timestampText, { resultSize: () => 30 })
    .global('string(duration): string', durationText, { resultSize: () => 30 })
    .global('bytes(bytes): bytes', same)
    .global('bytes(string): bytes', (text: string) => new Uint8Array(Buffer.from(text, 'utf8')), { ...read, resultSize: (text) => text * 4 })
    .global('timestamp(string): timestamp', timestampOf)
    .global('timestamp(int): timestamp', (seconds: bigint) => atTime(Number(seconds) * 1000))
    .global('timestamp(timestamp): timestamp', same)
    .global('duration(string): duration', durationOf)
    .global('duration(int): duration', (nanoseconds: bigint) => bounded(nanoseconds))
    .global('duration(duration): duration', same);
}

function times(functions: Functions): void {
  const getters: readonly [name: string, get: (time: Date) => number][] = [
    ['getFullYear', (time) => time.getUTCFullYear()],
    ['getMonth', (time) => time.getUTCMonth()],
    ['getDayOfYear', dayOfYear],
    ['getDayOfMonth', (time) => time.getUTCDate() - 1],
    ['getDate', (time) => time.getUTCDate()],
    ['getDayOfWeek', (time) => time.getUTCDay()],
    ['getHours', (time) => time.getUTCHours()],
    ['getMinutes', (time) => time.getUTCMinutes()],
    ['getSeconds', (time) => time.getUTCSeconds()],
    ['getMilliseconds', (time) => time.getUTCMilliseconds()],
  ];
  for (const [name, get] of getters) {
    functions
      .method(`timestamp.${name}(): int`, (time: Date) => BigInt(get(time)))
      .method(`timestamp.${name}(string): int`, (time: Date, zone: string) => BigInt(get(inZone(time, zone))));
  }
  const units: readonly [name: string, nanoseconds: bigint][] = [
    ['getHours', 3_600_000_000_000n],
    ['getMinutes', 60_000_000_000n],
    ['getSeconds', 1_000_000_000n],
  ];
  for (const [name, unit] of units) functions.method(`duration.${name}(): int`, ({ nanoseconds }: Duration) => nanoseconds / unit);
  functions.method('duration.getMilliseconds(): int', ({ nanoseconds }: Duration) => (nanoseconds / 1_000_000n) % 1_000n);
}

function optionals(functions: Functions): void {
  functions
    .global('optional.of(A): optional<A>', (value: unknown) => Optional.of(value))
    .global('optional.none(): optional<A>', () => absent)
    .global('optional.ofNonZeroValue(A): optional<A>', (value: unknown) => (isZero(value) ? absent : Optional.of(value)))
    .method('optional<A>.hasValue(): bool', ({ isPresent }: Optional) => isPresent)
    .method('optional<A>.value(): A', ({ isPresent, value }: Optional) => {
      if (!isPresent) throw new CelError('optional.none() dereference');
      return value;
    })
    // The evaluator looks at the alternative only where it is needed.
    .method('optional<A>.or(optional<A>): optional<A>', (a: Optional, b: Optional) => (a.isPresent ? a : b))
    .method('optional<A>.orValue(A): A', ({ isPresent, value }: Optional, other: unknown) => (isPresent ? value : other));
}

function isZero(value: unknown): boolean {
  if (value === null || value === false || value === '' || value === 0 || value === 0n) return true;
  if (value instanceof Uint) return value.value === 0n;
  return typeof value === 'object' && !(value instanceof Date) && !(value instanceof Optional) && sizeOf(value) === 0;
}
