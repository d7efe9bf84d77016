/**
 * OpenID Connect: ID tokens of an issuer whose keys are found by discovery, with claims that name user and groups.
 * See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#openid-connect-tokens
 */
import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import type { World } from '../../world/world.ts';
import type { NowOrLater } from '../now-or-later.ts';
import type { User } from '../request.ts';
import { WebhookConnection } from '../webhook-connection.ts';
import { ClaimError, type ClaimMappings, claimText, claimTexts, mappedUser, requiredClaim } from './claim-mappings.ts';
import { type Jwt, parseJwt, signatureHolds, textsOf } from './jwt.ts';
import type { TokenAnswer } from './service-account-token.ts';
import { withAuthenticatedGroup } from './users.ts';

/** One issuer, from a flag or an AuthenticationConfiguration. */
export interface IssuerOptions {
  /** `https:`, and exactly what tokens have in `iss`. */
  readonly issuerUrl: string;
  /** Where its discovery document is, when not below the issuer. */
  readonly discoveryUrl?: string;
  /** One of them must be among the audiences of a token. */
  readonly audiences: readonly string[];
  /** PEM of the issuer's authorities; the system's when absent. */
  readonly ca?: string;
  readonly signingAlgorithms: readonly string[];
  readonly mappings: ClaimMappings;
}

/** What the `--oidc-*` flags say. */
export interface OidcOptions {
  readonly issuerUrl: string;
  readonly clientId: string;
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

export function issuerOfFlags(options: OidcOptions): IssuerOptions {
  const { issuerUrl, clientId, ca, usernameClaim = 'sub', usernamePrefix, groupsClaim, groupsPrefix, requiredClaims = {} } = options;
  const defaultPrefix = usernameClaim === 'email' ? '' : `${issuerUrl}#`;
  return {
    issuerUrl,
    audiences: [clientId],
    ...(ca !== undefined && { ca }),
    signingAlgorithms: options.signingAlgorithms ?? ['RS256'],
    mappings: {
      username: claimText(usernameClaim, usernamePrefix === '-' ? '' : (usernamePrefix ?? defaultPrefix)),
      groups: groupsClaim === undefined ? () => [] : claimTexts(groupsClaim, groupsPrefix),
      uid: () => '',
      extra: [],
      claimRules: Object.entries(requiredClaims).map(([name, value]) => requiredClaim(name, value)),
      userRules: [],
    },
  };
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
  readonly audiences: readonly string[];
  readonly expires: number;
}

export class OidcTokens {
  private readonly world: World;
  private readonly options: IssuerOptions;
  private readonly issuer: WebhookConnection;
  private keys: readonly IssuerKey[] = [];
  private refreshing: Promise<void> | undefined;
  private refreshedMs = -Infinity;
  private readonly known = new Map<string, KnownToken>();

  constructor(world: World, options: IssuerOptions) {
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
    if (typeof alg !== 'string' || !this.options.signingAlgorithms.includes(alg)) return undefined;
    if (this.isSigned(jwt)) return this.accept(token, jwt);
    return this.refresh().then(() => (this.isSigned(jwt) ? this.accept(token, jwt) : undefined));
  }

  close(): void {
    this.issuer.close();
  }

  private answer(token: string, { user, audiences, expires }: KnownToken): TokenAnswer | undefined {
    if (this.world.clock.now() / 1000 < expires) return { user, audiences };
    this.known.delete(token);
    return undefined;
  }

  private isSigned(jwt: Jwt): boolean {
    const { kid } = jwt.header;
    return this.keys.some(({ id, key }) => (kid === undefined || id === undefined || id === kid) && signatureHolds(jwt, key));
  }

  private accept(token: string, { claims }: Jwt): TokenAnswer | undefined {
    const now = this.world.clock.now() / 1000;
    const { exp, nbf, aud } = claims;
    if (typeof exp !== 'number' || now >= exp) return undefined;
    if (nbf !== undefined && (typeof nbf !== 'number' || now + aheadSeconds < nbf)) return undefined;
    const meant = textsOf(aud);
    const audiences = this.options.audiences.filter((audience) => meant.includes(audience));
    if (audiences.length === 0) return undefined;
    const user = this.userOf(claims);
    if (user === undefined) return undefined;
    const known = { user, audiences, expires: exp };
    if (this.known.size >= knownBound) this.known.clear();
    this.known.set(token, known);
    return this.answer(token, known);
  }

  private userOf(claims: Jwt['claims']): User | undefined {
    try {
      const { extra, ...user } = mappedUser(this.options.mappings, claims);
      const { jti } = claims;
      const credential = typeof jti === 'string' && jti !== '' && { 'authentication.kubernetes.io/credential-id': [`JTI=${jti}`] };
      return withAuthenticatedGroup({ ...user, extra: { ...extra, ...credential } });
    } catch (error) {
      if (!(error instanceof ClaimError)) throw error;
      this.world.log.debug('an ID token was refused', { issuer: this.options.issuerUrl, reason: error.message });
      return undefined;
    }
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
    const { issuerUrl, discoveryUrl = `${issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration` } = this.options;
    const document = (await this.issuer.get(discoveryUrl, timeoutMs)) as DiscoveryDocument;
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
