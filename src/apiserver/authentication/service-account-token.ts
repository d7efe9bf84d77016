/**
 * Service account tokens: JWTs signed with the cluster's key (EC or RSA), bound to the account and optionally to a pod, secret or node. A token dies with
 * what it is bound to. Keys that signed before, or sign elsewhere, may be given to check tokens with. See https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { Node, Pod, Secret, ServiceAccount } from '../../api/kinds.ts';
import type { World } from '../../world/world.ts';
import type { Remarks, User } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import { type Jwt, parseJwt, signatureHolds, textsOf } from './jwt.ts';
import { holdsToken, isInvalidated, legacyIssuer, legacySubjectOf } from './legacy-token.ts';
import { authenticatedGroup } from './users.ts';

export interface BoundObject {
  readonly name: string;
  readonly uid: string;
}

/** What a token says under `kubernetes.io`. */
export interface TokenSubject {
  readonly namespace: string;
  readonly serviceaccount: BoundObject;
  readonly pod?: BoundObject;
  readonly secret?: BoundObject;
  readonly node?: BoundObject;
}

export interface TokenAnswer {
  readonly user: User;
  readonly audiences: readonly string[];
}

interface Claims {
  readonly iss: string;
  readonly aud: readonly string[];
  readonly exp: number;
  readonly nbf: number;
  readonly jti: string;
  readonly 'kubernetes.io': TokenSubject;
  /** The Secret the token lives in, when it does. */
  readonly secretName?: string;
}

interface CheckingKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** A token whose signature was found good. */
interface KnownToken {
  readonly claims: Claims;
  readonly user: User;
}

const cacheBound = 10_000;

export class ServiceAccountTokens {
  readonly issuer: string;
  readonly maxExpirationSeconds: number | undefined;
  /** How often a token that lives in no Secret was found good. */
  boundTokensUsed = 0;
  private readonly world: World;
  private readonly objects: ObjectReader;
  private readonly legacyTokenUsed: ServiceAccountTokenOptions['legacyTokenUsed'];
  private readonly privateKey: KeyObject;
  private readonly algorithm: string;
  private readonly header: string;
  /** The signing key's own half first. */
  private readonly checkingKeys: readonly CheckingKey[];
  private readonly audiences: readonly string[];
  private readonly issuers: ReadonlySet<string>;
  private readonly jwksUri: string;
  private readonly known = new Map<string, KnownToken>();

  constructor(options: ServiceAccountTokenOptions) {
    this.world = options.world;
    this.objects = options.objects;
    this.legacyTokenUsed = options.legacyTokenUsed;
    this.issuer = options.issuer;
    this.issuers = new Set([options.issuer, ...(options.formerIssuers ?? [])]);
    this.maxExpirationSeconds = options.maxExpirationMs === undefined ? undefined : Math.floor(options.maxExpirationMs / 1000);
    this.jwksUri = options.jwksUri ?? `${options.issuer}/openid/v1/jwks`;
    this.audiences = options.apiAudiences ?? [...this.issuers];
    this.privateKey = createPrivateKey(options.signingKey);
    const own = checkingKey(createPublicKey(this.privateKey));
    const others = (options.verificationKeys ?? []).map((pem) => checkingKey(createPublicKey(pem))).filter(({ id }) => id !== own.id);
    this.checkingKeys = [own, ...others];
    this.algorithm = algorithmOf(own.key);
    this.header = encodePart({ alg: this.algorithm, kid: own.id });
  }

  /** Audiences a token is for when it names none, and that the server itself accepts. */
  get defaultAudiences(): readonly string[] {
    return this.audiences;
  }

  issue(subject: TokenSubject, audiences: readonly string[], expiresInSeconds: number): { token: string; expiresAtMs: number } {
    const now = Math.floor(this.world.clock.now() / 1000);
    const { namespace, serviceaccount } = subject;
    const claims = {
      aud: audiences,
      exp: now + expiresInSeconds,
      iat: now,
      iss: this.issuer,
      jti: this.world.random.uid(),
      'kubernetes.io': subject,
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
    };
    const signed = `${this.header}.${encodePart(claims)}`;
    const signature = sign(`sha${this.algorithm.slice(2)}`, Buffer.from(signed), { key: this.privateKey, dsaEncoding: 'ieee-p1363' });
    return { token: `${signed}.${signature.toString('base64url')}`, expiresAtMs: (now + expiresInSeconds) * 1000 };
  }

  /** The account behind a token, if it is ours, meant for one of the audiences, in time, and what it is bound to is still there. */
  authenticate(token: string, audiences: readonly string[] = this.defaultAudiences): TokenAnswer | undefined {
    const known = this.known.get(token) ?? this.check(token);
    if (known === undefined) return undefined;
    const { claims, user } = known;
    const now = this.world.clock.now() / 1000;
    if (now >= claims.exp || now + 10 < claims.nbf) {
      this.known.delete(token);
      return undefined;
    }
    const { secretName } = claims;
    const secret = secretName === undefined ? undefined : this.objects.get(Secret, claims['kubernetes.io'].namespace, secretName);
    if (secretName !== undefined && !holdsToken(secret, token)) return undefined;
    const shared = claims.aud.filter((audience) => audiences.includes(audience));
    if (shared.length === 0 || !this.stillThere(claims['kubernetes.io'])) return undefined;
    if (secret === undefined) {
      this.boundTokensUsed++;
      return { user, audiences: shared };
    }
    const remarks = this.legacyTokenUsed?.(secret);
    return isInvalidated(secret) ? undefined : { user: remarks ? { ...user, remarks } : user, audiences: shared };
  }

  /** The public keys, as `/openid/v1/jwks` shows them. */
  jwks(): object {
    return {
      keys: this.checkingKeys.map(({ id, key }) => ({ use: 'sig', kid: id, alg: algorithmOf(key), ...key.export({ format: 'jwk' }) })),
    };
  }

  discoveryDocument(): object {
    return {
      issuer: this.issuer,
      jwks_uri: this.jwksUri,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [...new Set(this.checkingKeys.map(({ key }) => algorithmOf(key)))],
    };
  }

  private check(token: string): KnownToken | undefined {
    const jwt = parseJwt(token);
    if (jwt === undefined || typeof jwt.claims['iss'] !== 'string') return undefined;
    const isLegacy = jwt.claims['iss'] === legacyIssuer;
    if (!isLegacy && !this.issuers.has(jwt.claims['iss'])) return undefined;
    const { kid } = jwt.header;
    const fitting = this.checkingKeys.filter(({ id }) => kid === undefined || kid === '' || kid === id);
    if (!fitting.some(({ key }) => jwt.header.alg === algorithmOf(key) && signatureHolds(jwt, key))) return undefined;
    const claims = isLegacy ? this.legacyClaims(jwt) : claimsOf(jwt);
    if (claims === undefined) return undefined;
    const known: KnownToken = { claims, user: userOf(claims) };
    if (this.known.size >= cacheBound) this.known.clear();
    this.known.set(token, known);
    return known;
  }

  private legacyClaims({ claims }: Jwt): Claims | undefined {
    const subject = legacySubjectOf(claims);
    if (subject === undefined) return undefined;
    const { namespace, serviceaccount, secretName } = subject;
    return { iss: legacyIssuer, aud: this.audiences, exp: Infinity, nbf: 0, jti: '', 'kubernetes.io': { namespace, serviceaccount }, secretName };
  }

  private stillThere({ namespace, serviceaccount, pod, secret, node }: TokenSubject): boolean {
    const nowMs = this.world.clock.now();
    const lives = (object: { metadata: { uid: string; deletionTimestamp?: string } } | undefined, uid: string): boolean =>
      object !== undefined && object.metadata.uid === uid && !longDeleted(object.metadata.deletionTimestamp, nowMs);
    return (
      lives(this.objects.get(ServiceAccount, namespace, serviceaccount.name), serviceaccount.uid) &&
      (pod === undefined || lives(this.objects.get(Pod, namespace, pod.name), pod.uid)) &&
      (secret === undefined || lives(this.objects.get(Secret, namespace, secret.name), secret.uid)) &&
      // A pod's token names its node for information; only a token bound to a node alone dies with it.
      (node === undefined || pod !== undefined || lives(this.objects.get(Node, undefined, node.name), node.uid))
    );
  }
}

export interface ServiceAccountTokenOptions {
  readonly world: World;
  readonly objects: ObjectReader;
  /** Told of the Secret whose token was shown, good or not; answers what there is to say about that. */
  readonly legacyTokenUsed?: (secret: Secret) => Remarks;
  /** PEM of a private key: RSA, or EC of curve P-256, P-384 or P-521. */
  readonly signingKey: string;
  readonly issuer: string;
  /** PEM of public keys (RSA or EC) whose tokens are good, too. */
  readonly verificationKeys?: readonly string[];
  /** Other names the issuer had: tokens with these are good, too. */
  readonly formerIssuers?: readonly string[];
  /** Where others find the keys; below the issuer when absent. */
  readonly jwksUri?: string;
  /** The longest a token may be asked to last; 2^32 seconds when absent. */
  readonly maxExpirationMs?: number;
  /** Whom tokens must be meant for; the issuer when absent. */
  readonly apiAudiences?: readonly string[];
}

function checkingKey(key: KeyObject): CheckingKey {
  const id = createHash('sha256')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest('base64url');
  return { id, key };
}

const algorithmOfCurve: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

function algorithmOf(key: KeyObject): string {
  return key.asymmetricKeyType === 'rsa' ? 'RS256' : (algorithmOfCurve[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? '');
}

/** Who signed it is trusted, but may have signed something else: what is missing or of another shape makes it no token of ours. */
function claimsOf({ claims }: Jwt): Claims | undefined {
  const { iss, aud, exp, nbf, jti, sub } = claims;
  const subject = claims['kubernetes.io'] as Partial<TokenSubject> | undefined;
  if (typeof iss !== 'string' || typeof exp !== 'number' || typeof subject !== 'object' || subject === null) return undefined;
  const { namespace, serviceaccount, pod, secret, node } = subject;
  if (typeof namespace !== 'string' || !isBound(serviceaccount) || sub !== `system:serviceaccount:${namespace}:${serviceaccount.name}`)
    return undefined;
  if ([pod, secret, node].some((bound) => bound !== undefined && !isBound(bound))) return undefined;
  return {
    iss,
    aud: textsOf(aud),
    exp,
    nbf: typeof nbf === 'number' ? nbf : 0,
    jti: typeof jti === 'string' ? jti : '',
    'kubernetes.io': { namespace, serviceaccount, ...(pod && { pod }), ...(secret && { secret }), ...(node && { node }) },
  };
}

function isBound(value: unknown): value is BoundObject {
  if (typeof value !== 'object' || value === null) return false;
  const { name, uid } = value as Partial<BoundObject>;
  return typeof name === 'string' && typeof uid === 'string';
}

/** Upstream lets a token of something being deleted live a minute longer, for graceful ends. */
function longDeleted(deletionTimestamp: string | undefined, nowMs: number): boolean {
  return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) + 60_000 < nowMs;
}

function userOf(claims: Claims): User {
  const { namespace, serviceaccount, pod, node } = claims['kubernetes.io'];
  return {
    name: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
    uid: serviceaccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, authenticatedGroup],
    extra: {
      ...(claims.jti !== '' && { 'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`] }),
      ...(pod && { 'authentication.kubernetes.io/pod-name': [pod.name], 'authentication.kubernetes.io/pod-uid': [pod.uid] }),
      ...(node && { 'authentication.kubernetes.io/node-name': [node.name], 'authentication.kubernetes.io/node-uid': [node.uid] }),
    },
  };
}

function encodePart(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
