/** Tokens that live in Secrets: JWTs without an end, good as long as their Secret is there and holds them. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { Secret, ServiceAccount } from '../../api/kinds.ts';

/** Who issues them, whatever the issuer of other tokens is. */
export const legacyIssuer = 'kubernetes/serviceaccount';

const algorithms: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

export type TokenSigner = (account: ServiceAccount, secret: Secret) => string;

/** `key`: PEM of an RSA or EC private key. */
export function legacyTokenSigner(key: string): TokenSigner {
  const privateKey = createPrivateKey(key);
  const publicKey = createPublicKey(privateKey);
  const algorithm = algorithmOf(publicKey);
  const id = createHash('sha256')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest('base64url');
  const header = encoded({ alg: algorithm, kid: id });
  return ({ metadata: { namespace, name, uid } }, secret) => {
    const signed = `${header}.${encoded({
      iss: legacyIssuer,
      'kubernetes.io/serviceaccount/namespace': namespace,
      'kubernetes.io/serviceaccount/secret.name': secret.metadata.name,
      'kubernetes.io/serviceaccount/service-account.name': name,
      'kubernetes.io/serviceaccount/service-account.uid': uid,
      sub: `system:serviceaccount:${namespace}:${name}`,
    })}`;
    const signature = sign(`sha${algorithm.slice(2)}`, Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  };
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  return asymmetricKeyType === 'rsa' ? 'RS256' : (algorithms[asymmetricKeyDetails?.namedCurve ?? ''] ?? 'ES256');
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
