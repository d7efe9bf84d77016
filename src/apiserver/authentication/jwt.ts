/** JSON Web Tokens (RFC 7519) as far as bearer tokens need them: taking one apart, and checking its signature with a public key. */
import { constants, type KeyObject, verify } from 'node:crypto';

export interface Jwt {
  readonly header: { readonly alg?: unknown; readonly kid?: unknown };
  readonly claims: Readonly<Record<string, unknown>>;
  /** What the signature is over. */
  readonly signed: string;
  readonly signature: Buffer;
}

/** Undefined for what is no token of this form. Nothing in it is to be believed before its signature is checked. */
export function parseJwt(token: string): Jwt | undefined {
  const [header = '', payload = '', signature = '', more] = token.split('.');
  if (more !== undefined || header === '' || payload === '' || signature === '') return undefined;
  const parsedHeader = parsedPart(header);
  const claims = parsedPart(payload);
  if (parsedHeader === undefined || claims === undefined) return undefined;
  return { header: parsedHeader, claims, signed: `${header}.${payload}`, signature: Buffer.from(signature, 'base64url') };
}

function parsedPart(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const curves: Readonly<Record<string, string>> = { ES256: 'prime256v1', ES384: 'secp384r1', ES512: 'secp521r1' };

export const signingAlgorithms: readonly string[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', ...Object.keys(curves)];

/** Whether the key made the signature, by the algorithm the token names; the key must be of that algorithm's kind. */
export function signatureHolds({ header, signed, signature }: Jwt, key: KeyObject): boolean {
  const { alg } = header;
  if (typeof alg !== 'string' || !signingAlgorithms.includes(alg)) return false;
  const digest = `sha${alg.slice(2)}`;
  const data = Buffer.from(signed);
  const curve = curves[alg];
  if (curve !== undefined) {
    if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== curve) return false;
    return verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
  }
  if (key.asymmetricKeyType !== 'rsa') return false;
  return alg.startsWith('PS')
    ? verify(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, signature)
    : verify(digest, data, key, signature);
}

/** A claim that holds one text or a list of them. */
export function textsOf(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return [claim];
  return Array.isArray(claim) ? claim.filter((value): value is string => typeof value === 'string') : [];
}
