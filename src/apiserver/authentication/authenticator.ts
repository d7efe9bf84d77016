/** Who is asking: the union of all ways to prove it. A proof that fails is a 401; none at all is `system:anonymous`. */
import type { IncomingHttpHeaders } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { unauthorized } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import { andThen, firstOf, isLater, type NowOrLater } from '../now-or-later.ts';
import type { User } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import { bootstrapTokenUser } from './bootstrap-token.ts';
import { badCertificate, certificateUser } from './client-certificate.ts';
import type { AuthenticationConfiguration } from './configuration.ts';
import { issuerOfFlags, type OidcOptions, OidcTokens } from './oidc.ts';
import { type RequestHeaderOptions, RequestHeaders } from './request-header.ts';
import type { ServiceAccountTokens, TokenAnswer } from './service-account-token.ts';
import { anonymous, withAuthenticatedGroup } from './users.ts';
import { type TokenWebhookOptions, WebhookTokens } from './webhook-token.ts';

export interface AuthenticatorOptions {
  readonly world: World;
  readonly objects: ObjectReader;
  readonly serviceAccountTokens: ServiceAccountTokens;
  readonly staticTokens: ReadonlyMap<string, User>;
  readonly requestHeader?: RequestHeaderOptions;
  readonly oidc?: OidcOptions;
  /** Issuers and anonymous paths from a file; instead of `oidc`. */
  readonly authenticationConfiguration?: AuthenticationConfiguration;
  readonly tokenWebhook?: TokenWebhookOptions;
  /** Whether bootstrap tokens are good; they are when absent. */
  readonly bootstrapTokens?: boolean;
  /** Paths without proof: everywhere when true or absent, only these when a list. */
  readonly anonymousAuth?: boolean | readonly string[];
}

/** What a request shows of who sent it. */
export interface Credentials {
  readonly headers: IncomingHttpHeaders;
  /** Keeps repeated headers apart. */
  readonly rawHeaders: readonly string[];
  /** Without the query. */
  readonly path: string;
}

export class Authenticator {
  private readonly world: World;
  private readonly objects: ObjectReader;
  private readonly serviceAccountTokens: ServiceAccountTokens;
  private readonly staticTokens: ReadonlyMap<string, User>;
  private readonly requestHeaders: RequestHeaders | undefined;
  private issuers: readonly OidcTokens[];
  private readonly webhook: WebhookTokens | undefined;
  private readonly bootstrapTokens: boolean;
  private readonly anonymousByFlag: boolean | readonly string[];
  private anonymousAuth: boolean | readonly string[];

  constructor(options: AuthenticatorOptions) {
    this.world = options.world;
    this.objects = options.objects;
    this.serviceAccountTokens = options.serviceAccountTokens;
    this.staticTokens = new Map([...options.staticTokens].map(([token, user]) => [token, withAuthenticatedGroup(user)]));
    this.requestHeaders = options.requestHeader && new RequestHeaders(options.requestHeader);
    const { authenticationConfiguration: configuration, oidc } = options;
    const issuers = [...(configuration?.issuers ?? []), ...(oidc === undefined ? [] : [issuerOfFlags(oidc)])];
    this.issuers = issuers.map((issuer) => new OidcTokens(options.world, issuer));
    this.webhook = options.tokenWebhook && new WebhookTokens(options.world, options.tokenWebhook);
    this.bootstrapTokens = options.bootstrapTokens ?? true;
    this.anonymousByFlag = options.anonymousAuth ?? true;
    this.anonymousAuth = configuration?.anonymousAuth ?? this.anonymousByFlag;
  }

  /** Goes on with the issuers and anonymous paths of another configuration. */
  replace({ issuers, anonymousAuth }: AuthenticationConfiguration): void {
    for (const issuer of this.issuers) issuer.close();
    this.issuers = issuers.map((issuer) => new OidcTokens(this.world, issuer));
    this.anonymousAuth = anonymousAuth ?? this.anonymousByFlag;
  }

  /** Throws (or rejects with) a 401 for a certificate or token that does not hold. */
  authenticate(socket: TLSSocket, { headers, rawHeaders, path }: Credentials): NowOrLater<User> {
    const nowMs = this.world.clock.now();
    const proxied = this.requestHeaders?.authenticate(socket, headers, rawHeaders, nowMs);
    if (proxied !== undefined) return proxied;
    const certified = certificateUser(socket, nowMs);
    if (certified !== undefined && certified !== badCertificate) return certified;
    const token = bearerToken(headers);
    if (token !== undefined) return this.tokenUser(token);
    // A proof that does not hold is not the same as none.
    if (certified === badCertificate || !this.mayBeAnonymous(path)) throw unauthorized();
    return anonymous;
  }

  /** Undefined for a token nobody knows. `audiences` is who the token must be meant for; the server itself when absent. */
  authenticateToken(token: string, audiences?: readonly string[]): NowOrLater<TokenAnswer | undefined> {
    const served = audiences ?? this.serviceAccountTokens.defaultAudiences;
    const user = this.staticTokens.get(token) ?? (this.bootstrapTokens ? bootstrapTokenUser(token, this.objects, this.world.clock.now()) : undefined);
    if (user !== undefined) return this.forServer(user, served);
    const account = this.serviceAccountTokens.authenticate(token, served);
    if (account !== undefined) return account;
    const { issuers, webhook } = this;
    if (issuers.length === 0) return webhook?.authenticate(token, served);
    return firstOf<TokenAnswer, OidcTokens | 'webhook'>([...issuers, 'webhook'], (way) => {
      if (way === 'webhook') return webhook?.authenticate(token, served);
      return andThen<TokenAnswer | undefined, TokenAnswer | undefined>(
        way.authenticate(token),
        (answer) => answer && this.forServer(answer.user, served),
      );
    });
  }

  close(): void {
    for (const issuer of this.issuers) issuer.close();
    this.webhook?.close();
  }

  /** Tokens that know no audience are for the server itself. */
  private forServer(user: User, served: readonly string[]): TokenAnswer | undefined {
    const shared = this.serviceAccountTokens.defaultAudiences.filter((audience) => served.includes(audience));
    return shared.length === 0 ? undefined : { user, audiences: shared };
  }

  private tokenUser(token: string): NowOrLater<User> {
    const answer = this.authenticateToken(token);
    return isLater(answer) ? answer.then(userOrThrow) : userOrThrow(answer);
  }

  private mayBeAnonymous(path: string): boolean {
    return typeof this.anonymousAuth === 'boolean' ? this.anonymousAuth : this.anonymousAuth.includes(path);
  }
}

function userOrThrow(answer: TokenAnswer | undefined): User {
  if (answer === undefined) throw unauthorized();
  return answer.user;
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
