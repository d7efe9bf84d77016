/**
 * OpenID Connect: ID tokens of an issuer whose keys are found by discovery, with claims that name user and groups.
 * See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#openid-connect-tokens
 */
import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import type { World } from '../../world/world.ts';
import type { NowOrLater } from '../now-or-later.ts';
import type { User } from '../request.ts';
import { WebhookConnection } from '../webhook-connection.ts';
import { type Jwt, parseJwt, signatureHolds, textsOf } from './jwt.ts';
import type { TokenAnswer } from './service-account-token.ts';
import { withAuthenticatedGroup } from './users.ts';

export interface OidcOptions {
  /** `https:`, and exactly what tokens have in `iss`. */
  readonly issuerUrl: string;
  /** Must be among the audiences of a token. */
  readonly clientId: string;
  /** PEM of the issuer's authorities; the system's when absent. */
  readonly ca?: string;
  /** `sub` when absent. */
  readonly usernameClaim?: string;
  /** `-` for none; when absent the issuer and `#`, except before an email address. */
  readonly usernamePrefix?: string;
  readonly groupsClaim?: string;
  readonly groupsPrefix?: string;
  /** Claims that must be there with these values. */
  readonly requiredClaims?: Readonly<Record<string, string>>;
  /** RS256 when absent. */
  readonly signingAlgorithms?: readonly string[];
}

interface IssuerKey {
  readonly id: string | undefined;
  readonly key: KeyObject;
}

const timeoutMs = 10_000;
/** A token with an unknown key makes us look for new ones, but not more often than this. */
const refreshPauseMs = 10_000;
/** Issuers' clocks may be ahead. */
const aheadSeconds = 300;
const knownBound = 10_000;

interface KnownToken {
  readonly user: User;
  readonly expires: number;
}

export class OidcTokens {
  private readonly world: World;
  private readonly options: OidcOptions;
  private readonly issuer: WebhookConnection;
  private keys: readonly IssuerKey[] = [];
  private refreshing: Promise<void> | undefined;
  private refreshedMs = -Infinity;
  private readonly known = new Map<string, KnownToken>();

  constructor(world: World, options: OidcOptions) {
    this.world = world;
    this.options = options;
    this.issuer = new WebhookConnection(world, { server: options.issuerUrl, ...(options.ca !== undefined && { ca: options.ca }) });
  }

  /** Undefined for a token that is not the issuer's, or does not hold. */
  authenticate(token: string): NowOrLater<TokenAnswer | undefined> {
    const known = this.known.get(token);
    if (known !== undefined) return this.answer(token, known);
    const jwt = parseJwt(token);
    if (jwt === undefined || jwt.claims['iss'] !== this.options.issuerUrl) return undefined;
    const { alg } = jwt.header;
    if (typeof alg !== 'string' || !(this.options.signingAlgorithms ?? ['RS256']).includes(alg)) return undefined;
    if (this.isSigned(jwt)) return this.accept(token, jwt);
    return this.refresh().then(() => (this.isSigned(jwt) ? this.accept(token, jwt) : undefined));
  }

  close(): void {
    this.issuer.close();
  }

  private answer(token: string, { user, expires }: KnownToken): TokenAnswer | undefined {
    if (this.world.clock.now() / 1000 < expires) return { user, audiences: [this.options.clientId] };
    this.known.delete(token);
    return undefined;
  }

  private isSigned(jwt: Jwt): boolean {
    const { kid } = jwt.header;
    return this.keys.some(({ id, key }) => (kid === undefined || id === undefined || id === kid) && signatureHolds(jwt, key));
  }

  private accept(token: string, { claims }: Jwt): TokenAnswer | undefined {
    const { clientId, requiredClaims = {} } = this.options;
    const now = this.world.clock.now() / 1000;
    const { exp, nbf, aud } = claims;
    if (typeof exp !== 'number' || now >= exp) return undefined;
    if (nbf !== undefined && (typeof nbf !== 'number' || now + aheadSeconds < nbf)) return undefined;
    if (!textsOf(aud).includes(clientId)) return undefined;
    if (Object.entries(requiredClaims).some(([name, value]) => claims[name] !== value)) return undefined;
    const name = this.userName(claims);
    if (name === undefined) return undefined;
    const { groupsClaim, groupsPrefix = '' } = this.options;
    const groups = groupsClaim === undefined ? [] : textsOf(claims[groupsClaim]).map((group) => groupsPrefix + group);
    const { jti } = claims;
    const extra: Record<string, string[]> =
      typeof jti === 'string' && jti !== '' ? { 'authentication.kubernetes.io/credential-id': [`JTI=${jti}`] } : {};
    const known = { user: withAuthenticatedGroup({ name, uid: '', groups, extra }), expires: exp };
    if (this.known.size >= knownBound) this.known.clear();
    this.known.set(token, known);
    return this.answer(token, known);
  }

  private userName(claims: Jwt['claims']): string | undefined {
    const { usernameClaim = 'sub', usernamePrefix, issuerUrl } = this.options;
    const claim = claims[usernameClaim];
    if (typeof claim !== 'string' || claim === '') return undefined;
    const isEmail = usernameClaim === 'email';
    // An address nobody checked is nobody's name.
    if (isEmail && claims['email_verified'] !== undefined && claims['email_verified'] !== true) return undefined;
    const prefix = usernamePrefix === '-' ? '' : (usernamePrefix ?? (isEmail ? '' : `${issuerUrl}#`));
    return prefix + claim;
  }

  /** Never rejects: without keys no token holds. */
  private refresh(): Promise<void> {
    if (this.refreshing !== undefined) return this.refreshing;
    if (this.world.clock.now() - this.refreshedMs < refreshPauseMs && this.keys.length > 0) return Promise.resolve();
    this.refreshing = this.fetchKeys()
      .catch((error: unknown) => this.world.log.warn('the keys of the OpenID Connect issuer cannot be read', { error: String(error) }))
      .finally(() => {
        this.refreshing = undefined;
        this.refreshedMs = this.world.clock.now();
      });
    return this.refreshing;
  }

  private async fetchKeys(): Promise<void> {
    const { issuerUrl } = this.options;
    const document = (await this.issuer.get(`${issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration`, timeoutMs)) as DiscoveryDocument;
    if (document.issuer !== issuerUrl)
      throw new Error(`the discovery document names the issuer ${JSON.stringify(document.issuer)}, not ${issuerUrl}`);
    if (typeof document.jwks_uri !== 'string') throw new Error('the discovery document has no jwks_uri');
    const { keys } = (await this.issuer.get(document.jwks_uri, timeoutMs)) as { keys?: unknown };
    this.keys = (Array.isArray(keys) ? keys : []).flatMap(issuerKey);
  }
}

interface DiscoveryDocument {
  readonly issuer?: unknown;
  readonly jwks_uri?: unknown;
}

/** Keys of kinds we do not know are left out. */
function issuerKey(jwk: webcrypto.JsonWebKey & { readonly kid?: unknown }): IssuerKey[] {
  if ((jwk.use !== undefined && jwk.use !== 'sig') || (jwk.kty !== 'RSA' && jwk.kty !== 'EC')) return [];
  try {
    // Node checks the fields by itself.
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const { kid } = jwk;
    return [{ id: typeof kid === 'string' ? kid : undefined, key }];
  } catch {
    return [];
  }
}
