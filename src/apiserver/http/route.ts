/**
 * Where a path points: upstream's RequestInfo. Everything under `/api/v1/` and `/apis/<group>/<version>/` is about resources; all other paths stand for
 * themselves. Only looks at the text: whether the resource exists is asked later.
 */
import { badRequest } from '../../machinery/errors.ts';
import type { RequestVerb, ResourceTarget } from '../request.ts';

export type Route = ResourceRoute | PathRoute;

export interface ResourceRoute {
  readonly type: 'resource';
  readonly target: ResourceTarget;
  /** From the deprecated `/watch/` paths. */
  readonly watch: boolean;
}

export interface PathRoute {
  readonly type: 'path';
  readonly path: string;
}

export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** `path` is without the query. Throws a 400 for broken percent-encoding. */
export function routeOf(path: string): Route {
  const parts = path.split('/');
  // parts[0] is what precedes the leading slash: nothing.
  let at: number;
  let group: string;
  let version: string;
  if (parts[1] === 'api' && parts.length > 3) {
    group = '';
    version = parts[2] ?? '';
    at = 3;
  } else if (parts[1] === 'apis' && parts.length > 4) {
    group = parts[2] ?? '';
    version = parts[3] ?? '';
    at = 4;
  } else {
    return { type: 'path', path };
  }
  if (version === '' || parts[at] === '') return { type: 'path', path };
  let watch = false;
  if (parts[at] === 'watch' && parts.length > at + 1) {
    watch = true;
    at++;
  }
  let namespace: string | undefined;
  if (parts[at] === 'namespaces' && isInsideNamespace(parts, at)) {
    namespace = decoded(parts[at + 1]);
    at += 2;
  }
  const resource = decoded(parts[at]) ?? '';
  const name = decoded(parts[at + 1]);
  const subresource = decoded(parts[at + 2]);
  const last = parts.length - 1;
  // What follows is the proxied server's own path, and goes there as it came.
  const rest = at + 2 < last ? `/${parts.slice(at + 3).join('/')}` : '';
  if (rest !== '' && subresource !== 'proxy' && rest !== '/') return { type: 'path', path };
  return { type: 'resource', target: { group, version, namespace, resource, name, subresource, rest }, watch };
}

/** `/namespaces/x`, `/namespaces/x/status` and `/namespaces/x/finalize` are about the namespace; anything longer is inside it. */
function isInsideNamespace(parts: readonly string[], at: number): boolean {
  const third = parts[at + 2];
  return third !== undefined && third !== '' && third !== 'status' && third !== 'finalize';
}

function decoded(part: string | undefined): string | undefined {
  if (part === undefined || part === '') return undefined;
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    throw badRequest(`invalid URL escape in "${part}"`);
  }
}

/** What a method means on a target: one object or all of them, once or as a stream. */
export function verbOf(method: HttpMethod, { target, watch }: ResourceRoute, queryText: string): RequestVerb {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return target.name === undefined ? 'deletecollection' : 'delete';
    default:
      if (watch || (queryText.includes('watch') && asksToWatch(queryText) && target.subresource === undefined)) return 'watch';
      return target.name === undefined ? 'list' : 'get';
  }
}

function asksToWatch(queryText: string): boolean {
  const value = new URLSearchParams(queryText).get('watch');
  return value !== null && value !== 'false' && value !== '0';
}
