/**
 * Acting as somebody else: the `Impersonate-*` headers, each of which needs the right to impersonate.
 * See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type Attributes, type Authorizer, check } from '../authorization/authorizer.ts';
import { badRequest } from '../../machinery/errors.ts';
import type { User } from '../request.ts';
import { anonymous, authenticatedGroup } from './users.ts';

const extraPrefix = 'impersonate-extra-';
const serviceAccountPrefix = 'system:serviceaccount:';

/** The user to go on as. Throws a 403 when the asking user may not. `rawHeaders` keeps repeated headers apart. */
export function impersonate(user: User, headers: IncomingHttpHeaders, rawHeaders: readonly string[], authorizer: Authorizer): User {
  const name = single(headers['impersonate-user']);
  const uid = single(headers['impersonate-uid']);
  const groups = valuesOf(rawHeaders, (header) => header === 'impersonate-group');
  const extra = extraOf(rawHeaders);
  if (name === undefined) {
    if (uid === undefined && groups.length === 0 && Object.keys(extra).length === 0) return user;
    throw badRequest('requested impersonation without impersonating a user');
  }
  const may = (resource: string, what: Partial<Attributes>): void =>
    check(authorizer, { user, verb: 'impersonate', group: '', version: 'v1', resource, subresource: '', namespace: '', name: '', path: '', ...what });
  const account = serviceAccountOf(name);
  if (account === undefined) may('users', { name });
  else may('serviceaccounts', account);
  for (const group of groups) may('groups', { name: group });
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) may('userextras', { group: 'authentication.k8s.io', subresource: key, name: value });
  }
  if (uid !== undefined) may('uids', { group: 'authentication.k8s.io', name: uid });
  return { name, uid: uid ?? '', groups: impersonatedGroups(name, account, groups), extra };
}

export function asksToImpersonate(headers: IncomingHttpHeaders): boolean {
  for (const header in headers) if (header.startsWith('impersonate-')) return true;
  return false;
}

function impersonatedGroups(name: string, account: { namespace: string } | undefined, groups: readonly string[]): string[] {
  const all = [...groups];
  if (account !== undefined && groups.length === 0) all.push('system:serviceaccounts', `system:serviceaccounts:${account.namespace}`);
  if (name === anonymous.name) return all.includes('system:unauthenticated') ? all : [...all, 'system:unauthenticated'];
  return all.includes(authenticatedGroup) || all.includes('system:unauthenticated') ? all : [...all, authenticatedGroup];
}

function serviceAccountOf(name: string): { namespace: string; name: string } | undefined {
  if (!name.startsWith(serviceAccountPrefix)) return undefined;
  const [namespace = '', account = '', more] = name.slice(serviceAccountPrefix.length).split(':');
  return namespace === '' || account === '' || more !== undefined ? undefined : { namespace, name: account };
}

function extraOf(rawHeaders: readonly string[]): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const header = (rawHeaders[i] ?? '').toLowerCase();
    if (!header.startsWith(extraPrefix)) continue;
    const key = unescaped(header.slice(extraPrefix.length));
    (extra[key] ??= []).push(rawHeaders[i + 1] ?? '');
  }
  return extra;
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function valuesOf(rawHeaders: readonly string[], wanted: (header: string) => boolean): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) if (wanted((rawHeaders[i] ?? '').toLowerCase())) values.push(rawHeaders[i + 1] ?? '');
  return values;
}

function single(value: string | string[] | undefined): string | undefined {
  const first = Array.isArray(value) ? value[0] : value;
  return first === '' ? undefined : first;
}
