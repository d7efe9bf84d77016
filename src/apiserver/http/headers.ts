/** Headers with a format of their own. */
import { isIP, type Socket } from 'node:net';
import type { World } from '../../world/world.ts';
import type { HttpRequest } from './connection.ts';

/** Without parameters; JSON when the client does not say. */
export function mediaTypeOf(request: HttpRequest): string {
  const header = request.headers['content-type'];
  if (header === undefined) return 'application/json';
  const semicolon = header.indexOf(';');
  return (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase();
}

const longestAuditId = 64;

/** Names the request in logs of both sides: the client's own id, or a new one. */
export function auditId(request: HttpRequest, world: World): string {
  const given = request.headers['audit-id'];
  return typeof given === 'string' && given !== '' && given.length <= longestAuditId ? given : world.random.uid();
}

/** Where a request comes from: what proxies on its way say, then who is connected. */
export function sourceIps(request: HttpRequest): string[] {
  const forwarded = request.headers['x-forwarded-for'];
  const real = request.headers['x-real-ip'];
  const named = [...(typeof forwarded === 'string' ? forwarded.split(',') : []), ...(typeof real === 'string' ? [real] : [])];
  const all = [...named.map((address) => address.trim()), remoteAddress(request)];
  return [...new Set(all.filter((address) => address !== undefined && isIP(address) !== 0))] as string[];
}

function remoteAddress(request: HttpRequest): string | undefined {
  if (request.httpVersionMajor === 2) return request.stream?.session?.socket.remoteAddress;
  // Of an HTTP/1.1 request it is the connection itself.
  return (request.socket as Socket | null)?.remoteAddress;
}

/** The value of `Warning`, one header line, as lists may be joined; undefined for none. */
export function warningHeader(warnings: readonly string[]): string | undefined {
  return warnings.length === 0 ? undefined : warnings.map((text) => `299 - ${quoted(text)}`).join(', ');
}

/** A quoted string of an HTTP header: what could end it or is not ASCII is escaped or replaced. */
function quoted(text: string): string {
  return `"${text.replaceAll(/[\\"]/g, (character) => `\\${character}`).replaceAll(/[^\x20-\x7e]/g, '?')}"`;
}
