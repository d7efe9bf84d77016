/** How tables show addresses of endpoints. */

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The first few, and how many more there are: `a,b,c + 2 more...`. */
export function listOfFirst(count: number, words: readonly string[], nothing: string): string {
  if (words.length === 0) return nothing;
  const first = words.slice(0, count).join(',');
  return words.length > count ? `${first} + ${words.length - count} more...` : first;
}
