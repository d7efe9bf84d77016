/** For plugins that ask what the writer may do besides writing. The authorizer is put together after the verbs, so it is looked up at each question. */
import { type Attributes, type Authorizer, decision } from '../authorization/authorizer.ts';
import { andThen, type NowOrLater } from '../now-or-later.ts';
import type { User } from '../request.ts';

/** Undefined where nobody is asked: while the server writes its own first objects, and in tests of the verbs alone. */
export type AuthorizerSource = () => Authorizer | undefined;

export type Permission = Pick<Attributes, 'verb' | 'group' | 'resource'> & Partial<Attributes>;

/** The whole answer, which a webhook may have to give. */
export function may(source: AuthorizerSource, user: User, permission: Permission): NowOrLater<boolean> {
  const authorizer = source();
  if (!authorizer) return true;
  const attributes: Attributes = { version: '*', subresource: '', namespace: '', name: '', path: '', ...permission, user };
  return andThen(decision(authorizer, attributes), ({ verdict }) => verdict === 'allowed');
}
