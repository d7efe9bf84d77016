/** What the HTTP front works with, and who is asking: shared by requests and upgrades. */
import type { World } from '../../world/world.ts';
import type { Authenticator } from '../authentication/authenticator.ts';
import { asksToImpersonate, impersonate } from '../authentication/impersonation.ts';
import type { Dispatcher } from '../dispatch.ts';
import type { User } from '../request.ts';
import { connectionOf, type HttpRequest, type HttpResponse } from './connection.ts';
import type { Metrics } from './metrics.ts';
import type { Paths } from './paths.ts';
import type { ResourceRoute } from './route.ts';

/** Subresources that are other servers' streams: `proxy/` serves them. */
export interface StreamingSubresources {
  serves(route: ResourceRoute): boolean;
  /** Answers the request by itself. Rejects with an `ApiError` before anything was written. */
  handle(route: ResourceRoute, request: HttpRequest, response: HttpResponse, query: URLSearchParams): Promise<void>;
}

export interface FrontOptions {
  readonly world: World;
  readonly authenticator: Authenticator;
  readonly dispatcher: Dispatcher;
  readonly paths: Paths;
  readonly streams: StreamingSubresources;
  readonly metrics: Metrics;
}

/** Who asks, and where to, from an HTTP request: shared with upgrades. Throws a 400, 401 or 403. */
export function identify(options: Pick<FrontOptions, 'authenticator' | 'dispatcher'>, request: HttpRequest): User {
  const user = options.authenticator.authenticate(connectionOf(request), request.headers);
  return asksToImpersonate(request.headers) ? impersonate(user, request.headers, request.rawHeaders, options.dispatcher.authorizer) : user;
}
