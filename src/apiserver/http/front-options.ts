/** What the HTTP front works with, and who is asking: shared by requests and upgrades. */
import type { World } from '../../world/world.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import type { Auditor } from '../audit/audit.ts';
import type { Authenticator } from '../authentication/authenticator.ts';
import { asksToImpersonate, impersonate } from '../authentication/impersonation.ts';
import type { Dispatcher } from '../dispatch.ts';
import type { Attributes } from '../authorization/authorizer.ts';
import type { FlowControl } from '../flow-control/flow-control.ts';
import type { NowOrLater } from '../now-or-later.ts';
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
  /** What other servers serve. */
  readonly aggregator: Aggregator;
  readonly streams: StreamingSubresources;
  readonly metrics: Metrics;
  /** Absent when nothing is written down. */
  readonly audit?: Auditor;
  /** Absent when nothing is limited. */
  readonly flowControl?: FlowControl;
}

type Doors = Pick<FrontOptions, 'authenticator' | 'dispatcher'>;

/** Who sent the request. Throws (or rejects with) a 401. */
export function identify({ authenticator }: Doors, request: HttpRequest, path: string): NowOrLater<User> {
  return authenticator.authenticate(connectionOf(request), { headers: request.headers, rawHeaders: request.rawHeaders, path });
}

/** As whom the request goes on: mostly who sent it. `action` is what it is about to do. Throws (or rejects with) a 400 or 403. */
export function actingAs({ dispatcher }: Doors, request: HttpRequest, user: User, action: (user: User) => Attributes): NowOrLater<User> {
  const { headers, rawHeaders } = request;
  if (!asksToImpersonate(headers)) return user;
  return impersonate({ user, headers, rawHeaders, authorizer: dispatcher.authorizer, action: action(user) });
}
