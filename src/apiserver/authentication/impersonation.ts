/**
 * Acting as somebody else: the `Impersonate-*` headers, each of which needs the right to impersonate. Constrained impersonation is asked first: the right
 * to act as this kind of user (`impersonate:user-info`, …) together with the right to do just this on somebody's behalf (`impersonate-on:user-info:list`).
 * See https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type Attributes, type Authorizer, checkNowOrLater, decision } from '../authorization/authorizer.ts';
import { badRequest } from '../../machinery/errors.ts';
import { andThen, type NowOrLater } from '../now-or-later.ts';
import type { User } from '../request.ts';
import { anonymous, authenticatedGroup } from './users.ts';

const extraPrefix = 'impersonate-extra-';
const serviceAccountPrefix = 'system:serviceaccount:';
const nodePrefix = 'system:node:';
const identityGroup = 'authentication.k8s.io';

/** Who a request wants to act as, and what it needs the right to: legacy attributes for each header. */
interface Wanted {
  readonly user: User;
  readonly needs: readonly Partial<Attributes>[];
  readonly account: { readonly namespace: string; readonly name: string } | undefined;
}

export interface ImpersonationRequest {
  readonly user: User;
  readonly headers: IncomingHttpHeaders;
  /** Keeps repeated headers apart. */
  readonly rawHeaders: readonly string[];
  readonly authorizer: Authorizer;
  /** What the request is about to do, as whom it acts in the end. */
  readonly action?: Pick<Attributes, 'verb'> & Partial<Attributes>;
}

/** The user to go on as. Throws (or rejects with) a 403 when the asking user may not. */
export function impersonate({ user, headers, rawHeaders, authorizer, action }: ImpersonationRequest): NowOrLater<User> {
  const wanted = wantedUser(headers, rawHeaders);
  if (wanted === undefined) return user;
  const attributes = (verb: string, what: Partial<Attributes>): Attributes => ({
    user,
    verb,
    group: '',
    version: 'v1',
    resource: '',
    subresource: '',
    namespace: '',
    name: '',
    path: '',
    ...what,
  });
  const legacy = (): NowOrLater<User> => {
    const checkFrom = (from: number): NowOrLater<User> => {
      const need = wanted.needs[from];
      if (need === undefined) return wanted.user;
      return andThen(checkNowOrLater(authorizer, attributes('impersonate', need)), () => checkFrom(from + 1));
    };
    return checkFrom(0);
  };
  if (action === undefined) return legacy();
  const modes = modesFor(user, wanted);
  const tryMode = (at: number): NowOrLater<User> => {
    const mode = modes[at];
    if (mode === undefined) return legacy();
    const asked = [
      attributes(`impersonate-on:${mode.name}:${action.verb}`, { ...action, verb: `impersonate-on:${mode.name}:${action.verb}`, user }),
      ...mode.needs.map((need) => attributes(`impersonate:${mode.name}`, need)),
    ];
    return andThen(areAllAllowed(authorizer, asked, 0), (may) => (may ? wanted.user : tryMode(at + 1)));
  };
  return tryMode(0);
}

export function asksToImpersonate(headers: IncomingHttpHeaders): boolean {
  for (const header in headers) if (header.startsWith('impersonate-')) return true;
  return false;
}

function areAllAllowed(authorizer: Authorizer, asked: readonly Attributes[], from: number): NowOrLater<boolean> {
  const next = asked[from];
  if (next === undefined) return true;
  return andThen(decision(authorizer, next), ({ verdict }) => verdict === 'allowed' && areAllAllowed(authorizer, asked, from + 1));
}

interface Mode {
  readonly name: 'associated-node' | 'arbitrary-node' | 'serviceaccount' | 'user-info';
  readonly needs: readonly Partial<Attributes>[];
}

/** Kinds of constrained impersonation that fit. A node or service account is one by its name alone; with groups, uid or extra it is any user. */
function modesFor(asking: User, { user, account, needs }: Wanted): Mode[] {
  const isPlain = needs.length === 1;
  if (user.name.startsWith(nodePrefix)) {
    const name = user.name.slice(nodePrefix.length);
    if (!isPlain) return [];
    const own = asking.name.startsWith(serviceAccountPrefix) && asking.extra['authentication.kubernetes.io/node-name']?.[0] === name;
    const associated: Mode = { name: 'associated-node', needs: [{ group: identityGroup, resource: 'nodes', name: '*' }] };
    return [...(own ? [associated] : []), { name: 'arbitrary-node', needs: [{ group: identityGroup, resource: 'nodes', name }] }];
  }
  if (account !== undefined)
    return isPlain ? [{ name: 'serviceaccount', needs: [{ group: identityGroup, resource: 'serviceaccounts', ...account }] }] : [];
  return [{ name: 'user-info', needs: needs.map((need) => ({ ...need, group: identityGroup })) }];
}

function wantedUser(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): Wanted | undefined {
  const name = single(headers['impersonate-user']);
  const uid = single(headers['impersonate-uid']);
  const groups = valuesOf(rawHeaders, (header) => header === 'impersonate-group');
  const extra = extraOf(rawHeaders);
  if (name === undefined) {
    if (uid === undefined && groups.length === 0 && Object.keys(extra).length === 0) return undefined;
    throw badRequest('requested impersonation without impersonating a user');
  }
  const account = serviceAccountOf(name);
  const needs: Partial<Attributes>[] = [account === undefined ? { resource: 'users', name } : { resource: 'serviceaccounts', ...account }];
  for (const wanted of groups) needs.push({ resource: 'groups', name: wanted });
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) needs.push({ group: identityGroup, resource: 'userextras', subresource: key, name: value });
  }
  if (uid !== undefined) needs.push({ group: identityGroup, resource: 'uids', name: uid });
  return { user: { name, uid: uid ?? '', groups: impersonatedGroups(name, account, groups), extra }, needs, account };
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
