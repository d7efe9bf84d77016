/** RFC 3339 times as the API writes them: UTC, whole seconds (`Time`) or six decimals (`MicroTime`). */

const pattern = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)$/;
const canonicalSeconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** The same instant in the API's form, or undefined when the text is no RFC 3339 time. */
export function normalTime(text: string, decimals: 0 | 6): string | undefined {
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

/** Milliseconds since the epoch, or NaN when the text is no time. */
export function parseTime(text: string): number {
  return pattern.test(text) ? Date.parse(text) : Number.NaN;
}
