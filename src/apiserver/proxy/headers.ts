/** Headers on their way through a proxy: what is for the next hop only, and the client's proof of who it is, stays here. */
import type { HttpRequest } from '../http/connection.ts';

const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'http2-settings',
]);

/** Headers to send on. For an upgrade, `Connection` and `Upgrade` are kept. */
export function forwardedHeaders(request: HttpRequest, upgrade: boolean): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = (request.rawHeaders[i] ?? '').toLowerCase();
    if (isDropped(name) && !(upgrade && (name === 'connection' || name === 'upgrade'))) continue;
    const value = request.rawHeaders[i + 1] ?? '';
    const known = headers[name];
    headers[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  return headers;
}

function isDropped(name: string): boolean {
  return hopByHop.has(name) || name === 'authorization' || name.startsWith(':') || name.startsWith('impersonate-');
}

/** Headers of an answer to pass back, as pairs. */
export function returnedHeaders(rawHeaders: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (hopByHop.has(name)) continue;
    const value = rawHeaders[i + 1] ?? '';
    const known = headers[name];
    headers[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  return headers;
}
