/** What Kubernetes lets expressions do with texts: CEL's strings extension, searching by pattern, and `format`. */
import { patternOf } from '../re2-pattern.ts';
import { CelError } from './errors.ts';
import type { Functions } from './overloads.ts';
import { doubleText, patternCost, perCharacter, traversal } from './standard.ts';
import { durationText, timestampText } from './time.ts';
import { type Duration, type Fields, kindOf, mapEntries, type TypeValue, Uint } from './values.ts';

type Texts = readonly string[];

export function addTextFunctions(functions: Functions): void {
  const scan = { cost: (text: number) => 1 + traversal(text), resultSize: (text: number) => text };
  const pattern = { cost: (text: number, regex: number) => 1 + patternCost(text, regex), resultSize: (text: number) => text };
  const replaced = { cost: (text: number) => 1 + traversal(text) * 2, resultSize: (text: number, _: number, to: number) => text * Math.max(1, to) };
  const joined = { cost: (list: number) => 1 + list, resultSize: (list: number, separator = 0) => list * (separator + 1) };
  functions
    .method('string.charAt(int): string', charAt, { resultSize: () => 1 })
    .method('string.indexOf(string): int', (text: string, part: string) => indexIn(text, part, 0n), scan)
    .method('string.indexOf(string, int): int', indexIn, scan)
    .method('string.lastIndexOf(string): int', (text: string, part: string) => lastIndexIn(text, part, undefined), scan)
    .method('string.lastIndexOf(string, int): int', lastIndexIn, scan)
    .method('string.lowerAscii(): string', (text: string) => text.replaceAll(/[A-Z]+/g, (part) => part.toLowerCase()), scan)
    .method('string.upperAscii(): string', (text: string) => text.replaceAll(/[a-z]+/g, (part) => part.toUpperCase()), scan)
    .method('string.trim(): string', (text: string) => text.trim(), scan)
    .method('string.reverse(): string', (text: string) => Array.from(text).toReversed().join(''), scan)
    .method('string.replace(string, string): string', (text: string, from: string, to: string) => text.replaceAll(from, () => to), replaced)
    .method('string.replace(string, string, int): string', replaceSome, replaced)
    .method('string.split(string): list<string>', (text: string, by: string) => splitAt(text, by, -1n), scan)
    .method('string.split(string, int): list<string>', splitAt, scan)
    .method('string.substring(int): string', (text: string, from: bigint) => substring(text, from, undefined), scan)
    .method('string.substring(int, int): string', substring, scan)
    .method('list<string>.join(): string', (list: Texts) => list.join(''), joined)
    .method('list<string>.join(string): string', (list: Texts, separator: string) => list.join(separator), joined)
    .method('string.find(string): string', (text: string, regex: string) => patternOf(regex).exec(text)?.[0] ?? '', pattern)
    .method('string.findAll(string): list<string>', (text: string, regex: string) => findAll(text, regex, -1n), pattern)
    .method('string.findAll(string, int): list<string>', findAll, pattern)
    .method('string.format(list<dyn>): string', format, {
      cost: (text) => 1 + Math.ceil(text * perCharacter),
      resultSize: (text, list) => text + list * 100,
    })
    .global('strings.quote(string): string', (text: string) => JSON.stringify(text), { ...scan, resultSize: (text) => text * 6 + 2 });
}

function checkedIndex(index: bigint, size: number): number {
  if (index < 0n || index > BigInt(size)) throw new CelError(`index out of range: ${index}`);
  return Number(index);
}

function charAt(text: string, index: bigint): string {
  const characters = Array.from(text);
  return characters[checkedIndex(index, characters.length)] ?? '';
}

/** In characters, as all indexes are. */
function indexIn(text: string, part: string, from: bigint): bigint {
  const characters = Array.from(text);
  const start = characters.slice(0, checkedIndex(from, characters.length)).join('').length;
  const found = text.indexOf(part, start);
  return BigInt(found < 0 ? -1 : Array.from(text.slice(0, found)).length);
}

function lastIndexIn(text: string, part: string, from: bigint | undefined): bigint {
  const characters = Array.from(text);
  const start = from === undefined ? text.length : characters.slice(0, checkedIndex(from, characters.length)).join('').length;
  const found = text.lastIndexOf(part, start);
  return BigInt(found < 0 ? -1 : Array.from(text.slice(0, found)).length);
}

function substring(text: string, from: bigint, to: bigint | undefined): string {
  const characters = Array.from(text);
  const start = checkedIndex(from, characters.length);
  const end = to === undefined ? characters.length : checkedIndex(to, characters.length);
  if (start > end) throw new CelError(`invalid substring range. start: ${start}, end: ${end}`);
  return characters.slice(start, end).join('');
}

function replaceSome(text: string, from: string, to: string, limit: bigint): string {
  const parts = text.split(from);
  const replaced = limit < 0n ? parts.length - 1 : Math.min(Number(limit), parts.length - 1);
  return [parts.slice(0, replaced + 1).join(to), ...parts.slice(replaced + 1)].join(from);
}

function splitAt(text: string, separator: string, limit: bigint): string[] {
  const parts = separator === '' ? Array.from(text) : text.split(separator);
  if (limit < 0n || BigInt(parts.length) <= limit) return parts;
  if (limit === 0n) return [];
  const kept = Number(limit) - 1;
  return [...parts.slice(0, kept), parts.slice(kept).join(separator)];
}

function findAll(text: string, regex: string, limit: bigint): string[] {
  const { source, flags } = patternOf(regex);
  const found = [...text.matchAll(new RegExp(source, `${flags}g`))].map(([match]) => match);
  return limit < 0n ? found : found.slice(0, Number(limit));
}

// ---- format

const clause = /%(?:\.(\d+))?([A-Za-z%])/g;

function format(template: string, values: readonly unknown[]): string {
  let next = 0;
  return template.replaceAll(clause, (_, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (next >= values.length) throw new CelError(`index ${next} out of range`);
    return formatted(values[next++], verb, Math.min(100, Number(precision ?? 6)));
  });
}

function formatted(value: unknown, verb: string, precision: number): string {
  switch (verb) {
    case 's':
      return shown(value);
    case 'd':
      return decimal(value);
    case 'f':
      return numberOf(value).toFixed(precision);
    case 'e':
      return numberOf(value)
        .toExponential(precision)
        .replace(/e([+-])(\d)$/, 'e$10$2');
    case 'b':
      return typeof value === 'boolean' ? String(Number(value)) : integer(value).toString(2);
    case 'o':
      return integer(value).toString(8);
    case 'x':
    case 'X': {
      const text = hexadecimal(value);
      return verb === 'X' ? text.toUpperCase() : text;
    }
    default:
      throw new CelError(`unrecognized formatting clause "${verb}"`);
  }
}

function integer(value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  if (value instanceof Uint) return value.value;
  throw new CelError(`no such overload: only integers can be formatted so, was given ${kindOf(value)}`);
}

function decimal(value: unknown): string {
  return typeof value === 'number' && !Number.isFinite(value) ? shown(value) : integer(value).toString();
}

function numberOf(value: unknown): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint) return Number(value.value);
  throw new CelError(`no such overload: only numbers can be formatted so, was given ${kindOf(value)}`);
}

function hexadecimal(value: unknown): string {
  if (typeof value === 'string') return Buffer.from(value, 'utf8').toString('hex');
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : integer(value).toString(16);
}

function shown(value: unknown): string {
  switch (kindOf(value)) {
    case 'string':
    case 'bool':
    case 'int':
      return String(value);
    case 'null':
      return 'null';
    case 'double': {
      const text = doubleText(value as number);
      return text.replace('+Inf', 'Infinity').replace('-Inf', '-Infinity');
    }
    case 'uint':
      return String((value as Uint).value);
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('utf8');
    case 'timestamp':
      return timestampText(value as Date);
    case 'duration':
      return durationText(value as Duration);
    case 'type':
      return (value as TypeValue).name;
    case 'list':
      return `[${(value as readonly unknown[]).map(shown).join(', ')}]`;
    case 'map':
      return `{${mapEntries(value as Fields)
        .map(([key, item]) => `${shown(key)}: ${shown(item)}`)
        .sort()
        .join(', ')}}`;
    default:
      throw new CelError(
        `no such overload: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps`,
      );
  }
}
