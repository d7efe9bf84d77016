/** RFC 3339 times as the API writes them: UTC, whole seconds (`Time`) or six decimals (`MicroTime`). */

const pattern = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)$/;
const canonicalSeconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** The same instant in the API's form, or undefined when the text is no RFC 3339 time. */
export function normalTime(text: string, decimals: 0 | 6): string | undefined {
  if (decimals === 0 && isCanonical(text)) return text;
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, date = '', clock = '', fraction = '', zone = ''] = match;
  const seconds = Date.parse(`${date}T${clock}${zone.toUpperCase()}`);
  // Date.parse lets February have 30 days; a real date comes back as it went in.
  if (Number.isNaN(seconds) || new Date(`${date}T00:00:00Z`).toISOString().slice(0, 10) !== date) return undefined;
  if (decimals === 0 && canonicalSeconds.test(text)) return text;
  const base = new Date(seconds).toISOString().slice(0, 19);
  return decimals === 0 ? `${base}Z` : `${base}.${fraction.slice(0, 6).padEnd(6, '0')}Z`;
}

/** Surely a time in the form of `Time`: most are, and need no calendar. Days that only some months have are left to it. */
function isCanonical(text: string): boolean {
  if (text.length !== 20 || text[4] !== '-' || text[7] !== '-' || text[10] !== 'T') return false;
  if (text[13] !== ':' || text[16] !== ':' || text[19] !== 'Z') return false;
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  if (!(twoDigits(text, 0) >= 0 && twoDigits(text, 2) >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= 28)) return false;
  return twoDigits(text, 11) <= 23 && twoDigits(text, 14) <= 59 && twoDigits(text, 17) <= 59;
}

/** NaN, which no comparison holds of, when they are no digits. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - zero;
  const ones = text.charCodeAt(at + 1) - zero;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

const zero = 0x30;

/** Milliseconds since the epoch, or NaN when the text is no time. */
export function parseTime(text: string): number {
  return pattern.test(text) ? Date.parse(text) : Number.NaN;
}
