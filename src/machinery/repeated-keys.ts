/**
 * Keys that stand twice in one object of a JSON or YAML text. Parsers let the last one win without a word; upstream's strict decoding names them.
 * See https://kubernetes.io/docs/reference/using-api/api-concepts/#setting-the-field-validation-level
 */
import { isScalar, LineCounter, parseDocument, visit } from 'yaml';

/** As upstream: who has so many has been told enough. */
const mostReported = 100;

/**
 * Paths of the repeated keys, `spec.containers[0].image`, in the order of the text, which is valid JSON and was parsed to `value`. Texts without any are
 * found out by counting, at a fraction of what parsing costs.
 */
export function repeatedJsonKeys(text: string, value: unknown): string[] {
  // Strings may hold what looks like a key, so this can only be too many; parsing leaves one of equals, so that can only be too few.
  return looksLikeKeys(text) === keysOf(value) ? [] : findRepeated(text);
}

function looksLikeKeys(text: string): number {
  let count = 0;
  for (let colon = text.indexOf(':'); colon >= 0; colon = text.indexOf(':', colon + 1)) {
    let before = colon - 1;
    while (isSpace(text.charCodeAt(before))) before--;
    if (text.charCodeAt(before) === quote && !isEscaped(text, before)) count++;
  }
  return count;
}

/** As the quotes are in the keys of managed fields. */
function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === backslash) backslashes++;
  return backslashes % 2 === 1;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') count += keysOf(item);
    return count;
  }
  for (const key in value) {
    count++;
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === 'object') count += keysOf(item);
  }
  return count;
}

interface Open {
  readonly path: string;
  /** Of an object, its keys so far; undefined for an array. */
  readonly keys: Set<string> | undefined;
  /** How many items were before this one. */
  index: number;
  /** What is being read belongs to this key; undefined while a key is expected. */
  key: string | undefined;
}

function findRepeated(text: string): string[] {
  const found = new Set<string>();
  const stack: Open[] = [];
  let open: Open | undefined;
  for (let at = 0; at < text.length && found.size < mostReported; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const end = endOfString(text, at);
      if (open?.keys !== undefined && open.key === undefined) {
        open.key = String(JSON.parse(text.slice(at, end + 1)));
        if (open.keys.has(open.key)) found.add(pathInside(open));
        open.keys.add(open.key);
      }
      at = end;
    } else if (code === openBrace || code === openBracket) {
      open = { path: open === undefined ? '' : pathInside(open), keys: code === openBrace ? new Set() : undefined, index: 0, key: undefined };
      stack.push(open);
    } else if (code === closeBrace || code === closeBracket) {
      stack.pop();
      open = stack.at(-1);
    } else if (code === comma && open !== undefined) {
      open.index++;
      open.key = undefined;
    }
  }
  return [...found];
}

function pathInside({ path, keys, key, index }: Open): string {
  if (keys === undefined) return `${path}[${index}]`;
  return path === '' ? (key ?? '') : `${path}.${key}`;
}

function endOfString(text: string, from: number): number {
  let at = from + 1;
  for (let code = text.charCodeAt(at); code !== quote && at < text.length; code = text.charCodeAt(at)) at += code === backslash ? 2 : 1;
  return at;
}

export interface RepeatedYamlKey {
  /** Of the later one, counted from 1. */
  readonly line: number;
  readonly key: string;
}

/** The repeated keys of a text that is valid YAML. */
export function repeatedYamlKeys(text: string): RepeatedYamlKey[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { version: '1.1', uniqueKeys: false, lineCounter: lines });
  const found: RepeatedYamlKey[] = [];
  visit(document, {
    Map(_, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value) && found.length < mostReported) found.push({ line: lines.linePos(key.range?.[0] ?? 0).line, key: String(key.value) });
        keys.add(key.value);
      }
    },
  });
  return found;
}

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
