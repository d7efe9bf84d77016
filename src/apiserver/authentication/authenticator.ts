/** Who is asking: the union of all ways to prove it. A proof that fails is a 401; none at all is `system:anonymous`. */
import type { IncomingHttpHeaders } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { unauthorized } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import type { User } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import { bootstrapTokenUser } from './bootstrap-token.ts';
import { certificateUser } from './client-certificate.ts';
import type { ServiceAccountTokens, TokenAnswer } from './service-account-token.ts';
import { anonymous, withAuthenticatedGroup } from './users.ts';

export interface AuthenticatorOptions {
  readonly world: World;
  readonly objects: ObjectReader;
  readonly serviceAccountTokens: ServiceAccountTokens;
  readonly staticTokens: ReadonlyMap<string, User>;
}

export class Authenticator {
  private readonly world: World;
  private readonly objects: ObjectReader;
  private readonly serviceAccountTokens: ServiceAccountTokens;
  private readonly staticTokens: ReadonlyMap<string, User>;

  constructor(options: AuthenticatorOptions) {
    this.world = options.world;
    this.objects = options.objects;
    this.serviceAccountTokens = options.serviceAccountTokens;
    this.staticTokens = new Map([...options.staticTokens].map(([token, user]) => [token, withAuthenticatedGroup(user)]));
  }

  /** Throws a 401 for a certificate or token that does not hold. */
  authenticate(socket: TLSSocket, headers: IncomingHttpHeaders): User {
    const certified = certificateUser(socket, this.world.clock.now());
    if (certified !== undefined) return certified;
    const token = bearerToken(headers);
    if (token === undefined) return anonymous;
    const answer = this.authenticateToken(token);
    if (answer === undefined) throw unauthorized();
    return answer.user;
  }

  /** Undefined for a token nobody knows. `audiences` is who the token must be meant for; the server itself when absent. */
  authenticateToken(token: string, audiences?: readonly string[]): TokenAnswer | undefined {
    const served = audiences ?? this.serviceAccountTokens.defaultAudiences;
    const user = this.staticTokens.get(token) ?? bootstrapTokenUser(token, this.objects, this.world.clock.now());
    if (user !== undefined) {
      const shared = this.serviceAccountTokens.defaultAudiences.filter((audience) => served.includes(audience));
      return shared.length === 0 ? undefined : { user, audiences: shared };
    }
    return this.serviceAccountTokens.authenticate(token, served);
  }
}

const webSocketTokenPrefix = 'base64url.bearer.authorization.k8s.io.';

/** From the Authorization header, or for browsers' WebSockets from a subprotocol. */
function bearerToken(headers: IncomingHttpHeaders): string | undefined {
  const authorization = headers.authorization;
  if (authorization !== undefined) {
    const space = authorization.indexOf(' ');
    if (space < 0 || authorization.slice(0, space).toLowerCase() !== 'bearer') return undefined;
    const token = authorization.slice(space + 1).trim();
    return token === '' ? undefined : token;
  }
  const protocols = headers['sec-websocket-protocol'];
  if (protocols === undefined || !protocols.includes(webSocketTokenPrefix)) return undefined;
  const carrier = protocols.split(',').find((protocol) => protocol.trim().startsWith(webSocketTokenPrefix));
  return carrier === undefined ? undefined : Buffer.from(carrier.trim().slice(webSocketTokenPrefix.length), 'base64url').toString();
}
