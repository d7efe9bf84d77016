/** Reads one field of an encoded object without parsing the rest: what indexes and selectors look at in objects that nobody has looked at otherwise. */

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/**
 * The value at a path of field names; undefined when there is none. The bytes are JSON as `JSON.stringify` writes it, without space between tokens; names
 * on the path are plain ASCII.
 */
export function fieldOf(bytes: Uint8Array, path: readonly string[]): unknown {
  let at = 0;
  for (const name of path) {
    const found = memberOf(bytes, at, name);
    if (found === undefined) return undefined;
    at = found;
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, skipValue(bytes, at) - at).toString('utf8');
  return JSON.parse(text);
}

/** Where the value of the object's member begins; undefined when there is no object at `at`, or no such member in it. */
function memberOf(bytes: Uint8Array, at: number, name: string): number | undefined {
  if (bytes[at] !== openBrace) return undefined;
  let next = at + 1;
  while (bytes[next] === quote) {
    const end = skipString(bytes, next);
    if (bytes[end] !== colon) return undefined;
    if (isName(bytes, next + 1, end - 1, name)) return end + 1;
    next = skipValue(bytes, end + 1);
    if (bytes[next] !== comma) return undefined;
    next++;
  }
  return undefined;
}

function isName(bytes: Uint8Array, from: number, to: number, name: string): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name.charCodeAt(i)) return false;
  return true;
}

/** The first position past the string that begins at `at`. */
function skipString(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  let i = at + 1;
  while (i < length) {
    const byte = bytes[i];
    if (byte === quote) return i + 1;
    i += byte === backslash ? 2 : 1;
  }
  return length;
}

/** The first position past the value that begins at `at`. */
function skipValue(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  const first = bytes[at];
  if (first === quote) return skipString(bytes, at);
  let i = at;
  if (first !== openBrace && first !== openBracket) {
    while (i < length && bytes[i] !== comma && bytes[i] !== closeBrace && bytes[i] !== closeBracket) i++;
    return i;
  }
  let depth = 0;
  while (i < length) {
    const byte = bytes[i];
    if (byte === quote) {
      i = skipString(bytes, i);
      continue;
    }
    if (byte === openBrace || byte === openBracket) depth++;
    else if (byte === closeBrace || byte === closeBracket) depth--;
    i++;
    if (depth === 0) return i;
  }
  return length;
}
