/** Who a passed-on request is from, told in headers that are believed because of the certificate they come with. */
import type { User } from '../request.ts';

export const identityHeaders = {
  username: 'X-Remote-User',
  uid: 'X-Remote-Uid',
  group: 'X-Remote-Group',
  extraPrefix: 'X-Remote-Extra-',
} as const;

/** No client may say who it is by these. */
export function isIdentityHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'x-remote-user' || lower === 'x-remote-uid' || lower === 'x-remote-group' || lower.startsWith('x-remote-extra-');
}

export function headersOf({ name, uid, groups, extra }: User): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { [identityHeaders.username]: sendable(name) };
  if (uid !== '') headers[identityHeaders.uid] = sendable(uid);
  if (groups.length > 0) headers[identityHeaders.group] = groups.map((group) => sendable(group));
  for (const [key, values] of Object.entries(extra)) headers[identityHeaders.extraPrefix + escapedKey(key)] = values.map((value) => sendable(value));
  return headers;
}

/** A header holds bytes: names beyond Latin letters go as UTF-8. Line breaks would be another header. */
function sendable(text: string): string {
  return Buffer.from(text.replaceAll(/[\r\n\0]/g, ' '), 'utf8').toString('latin1');
}

/** As upstream: what may not be in a header's name is percent-encoded, and so is the percent sign. */
function escapedKey(key: string): string {
  let escaped = '';
  for (const byte of Buffer.from(key, 'utf8')) {
    const character = String.fromCharCode(byte);
    escaped += /[A-Za-z0-9!#$&'*+\-.^_`|~]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return escaped;
}
