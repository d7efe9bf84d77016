/**
 * JSON of strangers: parsed only when it does not nest deeper than any object needs to. What walks objects here does so by recursion, and upstream's
 * decoder has such a bound too.
 */

/** The deepest upstream types nest to about thirty; schemas of custom resources within custom resources to a hundred. */
export const maxJsonDepth = 1000;

/** As `JSON.parse`, and a `SyntaxError` for what nests too deep. */
export function parseBoundedJson(text: string): unknown {
  // Each level takes two brackets.
  if (text.length > 2 * maxJsonDepth && nestsTooDeep(text)) throw new SyntaxError('exceeded max depth');
  return JSON.parse(text);
}

function nestsTooDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === quote) at = endOfString(text, at);
    else if (character === openBrace || character === openBracket) {
      if (++depth > maxJsonDepth) return true;
    } else if (character === closeBrace || character === closeBracket) depth--;
  }
  return false;
}

/** Where the string that starts at `from` has its closing quote; the end of the text when it has none. */
function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
