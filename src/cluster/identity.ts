/** Who calls the API server from within its own process: users as authentication would have made them. */
import type { User } from '../apiserver/request.ts';

/** A user as authentication would have made it: everyone is authenticated, service accounts have their groups. */
export function named(name: string): User {
  const account = /^system:serviceaccount:([^:]+):/.exec(name);
  const groups = account ? ['system:serviceaccounts', `system:serviceaccounts:${account[1] ?? ''}`] : [];
  return { name, uid: '', groups: [...groups, 'system:authenticated'], extra: {} };
}

export function masters(name: string): User {
  return { name, uid: '', groups: ['system:masters', 'system:authenticated'], extra: {} };
}
