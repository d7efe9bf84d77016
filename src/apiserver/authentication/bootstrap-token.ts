/**
 * Bootstrap tokens: `<id>.<secret>`, kept in a Secret of kube-system, with which a new node asks for its certificate.
 * See https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
 */
import { timingSafeEqual } from 'node:crypto';
import { Secret } from '../../api/kinds.ts';
import type { User } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import { authenticatedGroup } from './users.ts';

const tokenForm = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;

/** One user per state of the secret, so that what is remembered about a user is found again. */
const users = new WeakMap<Secret, User>();

export function bootstrapTokenUser(token: string, objects: ObjectReader, nowMs: number): User | undefined {
  const match = tokenForm.exec(token);
  if (match === null) return undefined;
  const [, id = '', secretPart = ''] = match;
  const secret = objects.get(Secret, 'kube-system', `bootstrap-token-${id}`);
  if (secret === undefined || secret.type !== 'bootstrap.kubernetes.io/token' || secret.metadata.deletionTimestamp !== undefined) return undefined;
  const field = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString();
  if (field('token-id') !== id || !sameText(field('token-secret'), secretPart)) return undefined;
  if (field('usage-bootstrap-authentication') !== 'true') return undefined;
  const expiration = field('expiration');
  // A time that cannot be read counts as past.
  if (expiration !== '' && !(Date.parse(expiration) > nowMs)) return undefined;
  let user = users.get(secret);
  if (user === undefined) {
    const extraGroups = field('auth-extra-groups')
      .split(',')
      .filter((group) => group !== '');
    user = { name: `system:bootstrap:${id}`, uid: '', groups: ['system:bootstrappers', ...extraGroups, authenticatedGroup], extra: {} };
    users.set(secret, user);
  }
  return user;
}

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
