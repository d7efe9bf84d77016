/** Who is this: TokenReview for somebody else's token, SelfSubjectReview for oneself (`kubectl auth whoami`). */
import { SelfSubjectReview, TokenReview } from '../../api/kinds.ts';
import type { V1TokenReviewStatus, V1UserInfo } from '../../api/types.ts';
import { badRequest } from '../../machinery/errors.ts';
import { timestamp, type World } from '../../world/world.ts';
import type { Answer, Call, User } from '../request.ts';
import { decodeBody, type VirtualResources } from '../virtual.ts';
import { andThen, type NowOrLater } from '../now-or-later.ts';
import type { Authenticator } from './authenticator.ts';
import type { TokenAnswer } from './service-account-token.ts';

export function authenticationReviews(world: World, authenticator: Authenticator): VirtualResources {
  return new Map<string, (call: Call) => NowOrLater<Answer>>([
    [
      'authentication.k8s.io/selfsubjectreviews',
      (call) => {
        const review = decodeBody(call, SelfSubjectReview);
        const metadata = { ...review.metadata, creationTimestamp: timestamp(world.clock.now()) };
        return {
          type: 'object',
          code: 201,
          object: { kind: review.kind, apiVersion: review.apiVersion, metadata, status: { userInfo: infoOf(call.user) } } as SelfSubjectReview,
        };
      },
    ],
    [
      'authentication.k8s.io/tokenreviews',
      (call) => {
        const review = decodeBody(call, TokenReview);
        const token = review.spec?.token ?? '';
        if (token === '') throw badRequest('token is required for TokenReview in authentication');
        const { audiences = [] } = review.spec;
        return andThen(authenticator.authenticateToken(token, audiences.length > 0 ? audiences : undefined), (found) => {
          const answered: TokenReview = { ...review, status: statusOf(found) };
          return { type: 'object', code: 201, object: answered };
        });
      },
    ],
  ]);
}

function statusOf(answer: TokenAnswer | undefined): V1TokenReviewStatus {
  if (answer === undefined) return { user: {}, error: 'invalid bearer token' };
  return { authenticated: true, user: infoOf(answer.user), audiences: [...answer.audiences] };
}

function infoOf({ name, uid, groups, extra }: User): V1UserInfo {
  return {
    username: name,
    ...(uid !== '' && { uid }),
    groups: [...groups],
    ...(Object.keys(extra).length > 0 && { extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]])) }),
  };
}
