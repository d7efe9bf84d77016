/** Requests the server makes of itself: through the verbs like any client's, admitted and checked, as the server's own user. */
import type { Kind } from '../api/kind.ts';
import { serverUser } from './authentication/users.ts';
import type { Answer, RequestVerb } from './request.ts';
import type { Verbs } from './verbs.ts';

export interface OwnRequest {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
  readonly body?: object | undefined;
  readonly query?: URLSearchParams;
  readonly contentType?: string;
}

const neverAborted = new AbortController().signal;

export function askSelf(verbs: Verbs, verb: RequestVerb, kind: Kind, request: OwnRequest): Promise<Answer> {
  const { namespace, name, subresource, body, query = new URLSearchParams(), contentType = 'application/json' } = request;
  return verbs.handle({
    verb,
    target: { group: kind.group, version: kind.version, namespace, resource: kind.resource, name, subresource, rest: '' },
    user: serverUser,
    query,
    body,
    contentType,
    userAgent: 'kube-apiserver',
    signal: neverAborted,
    warnings: [],
  });
}
