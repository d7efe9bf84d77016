/**
 * Tokens that live in Secrets of type `kubernetes.io/service-account-token`: they have no end and no audience of their own, and are good as long as their
 * Secret holds them. Who signs them is the controller manager. Upstream's `legacy.go`.
 */
import type { Secret } from '../../api/kinds.ts';
import type { BoundObject } from './service-account-token.ts';

export const legacyIssuer = 'kubernetes/serviceaccount';
/** Set by the cleaner on tokens nobody used for long. */
const invalidSinceLabel = 'kubernetes.io/legacy-token-invalid-since';
const prefix = 'kubernetes.io/serviceaccount/';

export interface LegacySubject {
  readonly namespace: string;
  readonly serviceaccount: BoundObject;
  readonly secretName: string;
}

/** Undefined when something is missing or of another shape. */
export function legacySubjectOf(claims: Readonly<Record<string, unknown>>): LegacySubject | undefined {
  const text = (name: string): string => (typeof claims[prefix + name] === 'string' ? String(claims[prefix + name]) : '');
  const [namespace, secretName] = [text('namespace'), text('secret.name')];
  const serviceaccount = { name: text('service-account.name'), uid: text('service-account.uid') };
  if ([namespace, secretName, serviceaccount.name, serviceaccount.uid].includes('')) return undefined;
  return claims['sub'] === `system:serviceaccount:${namespace}:${serviceaccount.name}` ? { namespace, serviceaccount, secretName } : undefined;
}

export function holdsToken(secret: Secret | undefined, token: string): boolean {
  if (secret === undefined || secret.metadata.deletionTimestamp !== undefined) return false;
  return Buffer.from(secret.data?.['token'] ?? '', 'base64').toString() === token;
}

/** Nobody used it for so long that it was marked; taking the label off makes it good again. */
export function isInvalidated({ metadata }: Secret): boolean {
  return (metadata.labels?.[invalidSinceLabel] ?? '') !== '';
}
