/** Well-known users and groups. See https://kubernetes.io/docs/reference/access-authn-authz/authentication/ */
import type { User } from '../request.ts';

export const authenticatedGroup = 'system:authenticated';

export const anonymous: User = { name: 'system:anonymous', uid: '', groups: ['system:unauthenticated'], extra: {} };

/** The server's own identity, for what it writes by itself. */
export const serverUser: User = { name: 'system:apiserver', uid: '', groups: ['system:masters', authenticatedGroup], extra: {} };

/** Everyone who proved who they are is in `system:authenticated`. */
export function withAuthenticatedGroup(user: User): User {
  if (user.groups.includes(authenticatedGroup) || user.name === anonymous.name) return user;
  return { ...user, groups: [...user.groups, authenticatedGroup] };
}
