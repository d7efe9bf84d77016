/** Reading a path of an object, and whether what is there is what was expected. */
import { isDeepStrictEqual } from 'node:util';

type Part = { readonly name: string } | { readonly choice: string };

/** `status.conditions[Ready].status`, `items[*].metadata.name`, `metadata.labels['a.b/c']`; undefined where there is nothing. */
export function readPath(object: unknown, path: string): unknown {
  const parts = [...path.matchAll(/\['([^']*)'\]|\[([^\]]*)\]|([^.[\]]+)/g)].map(([, key, choice, name]): Part =>
    choice === undefined ? { name: key ?? name ?? '' } : { choice },
  );
  return walk(object, parts);
}

function walk(value: unknown, parts: readonly Part[]): unknown {
  const [part, ...rest] = parts;
  if (part === undefined || value === undefined || value === null) return value;
  if ('name' in part) return walk(Object(value)[part.name], rest);
  if (!Array.isArray(value)) return undefined;
  const { choice } = part;
  if (choice === '*') return value.map((element) => walk(element, rest));
  const chosen: unknown = /^\d+$/.test(choice) ? value[Number(choice)] : value.find((element: unknown) => named(element, choice));
  return walk(chosen, rest);
}

function named(element: unknown, choice: string): boolean {
  const fields = Object(element) as Record<string, unknown>;
  return fields['name'] === choice || fields['type'] === choice;
}

export function matches(actual: unknown, expected: unknown): boolean {
  if (expected === null) return actual === undefined || actual === null;
  if (expected === 'present') return actual !== undefined && actual !== null;
  if (typeof expected === 'string') return actual !== undefined && textMatches(scalar(actual), expected, 'exactly');
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && actual.length === expected.length && expected.every((element, index) => matches(actual[index], element));
  }
  if (typeof expected === 'object' && expected !== undefined) {
    if ('not' in expected) return !matches(actual, expected.not);
    if ('within' in expected && Array.isArray(expected.within)) {
      const [low, high] = expected.within.map(Number);
      return Number(actual) >= (low ?? 0) && Number(actual) <= (high ?? Infinity);
    }
    if (typeof actual !== 'object' || actual === null) return false;
    const fields = new Map<string, unknown>(Object.entries(actual));
    return Object.entries(expected).every(([key, inner]) => matches(fields.has(key) ? fields.get(key) : readPath(actual, key), inner));
  }
  return isDeepStrictEqual(actual, expected);
}

/** `/regex/`, `>= 2`, `= exactly this text`; anything else must be the text, or be in it. */
export function textMatches(actual: string, expected: string, plain: 'exactly' | 'holds'): boolean {
  const regex = /^\/(.*)\/([ims]*)$/s.exec(expected);
  if (regex) return new RegExp(regex[1] ?? '', regex[2]).test(actual);
  const comparison = /^(>=|<=|>|<) (-?[\d.]+)$/.exec(expected);
  if (comparison) {
    const [left, right] = [Number(actual), Number(comparison[2])];
    return { '>=': left >= right, '<=': left <= right, '>': left > right, '<': left < right }[comparison[1] ?? ''] ?? false;
  }
  if (plain === 'exactly') return actual === expected;
  return expected.startsWith('= ') ? actual.trim() === expected.slice(2) : actual.includes(expected);
}

function scalar(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
