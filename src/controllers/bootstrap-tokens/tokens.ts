/** Bootstrap tokens as their Secrets keep them. See https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/ */
import { createHmac } from 'node:crypto';
import type { Secret } from '../../api/kinds.ts';

export interface BootstrapToken {
  readonly id: string;
  readonly secret: string;
  /** Epoch ms; Infinity for a token without an end. A time that cannot be read is past. */
  readonly endMs: number;
  readonly signs: boolean;
}

/** Undefined for a Secret that is no bootstrap token, or not whole. */
export function bootstrapTokenOf({ metadata, type, data }: Secret): BootstrapToken | undefined {
  if (type !== 'bootstrap.kubernetes.io/token' || metadata.namespace !== 'kube-system') return undefined;
  const field = (name: string): string => Buffer.from(data?.[name] ?? '', 'base64').toString();
  const [id, secret, expiration] = [field('token-id'), field('token-secret'), field('expiration')];
  if (metadata.name !== `bootstrap-token-${id}` || !/^[a-z0-9]{6}$/.test(id) || !/^[a-z0-9]{16}$/.test(secret)) return undefined;
  const endMs = expiration === '' ? Infinity : Date.parse(expiration);
  return { id, secret, endMs: Number.isNaN(endMs) ? 0 : endMs, signs: field('usage-bootstrap-signing') === 'true' };
}

/** A JWS over the text without the text itself (RFC 7515, appendix F): who knows the token can check what an unknown server says. */
export function detachedSignature(text: string, { id, secret }: BootstrapToken): string {
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: id })).toString('base64url');
  const payload = Buffer.from(text).toString('base64url');
  return `${header}..${createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')}`;
}
