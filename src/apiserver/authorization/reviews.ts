/** Access reviews: asking the server what somebody may do (`kubectl auth can-i`). See https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access */
import { LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { V1NonResourceAttributes, V1ResourceAttributes, V1SubjectAccessReviewStatus } from '../../api/types.ts';
import { badRequest, invalid } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Answer, Call, User } from '../request.ts';
import { decodeBody, type VirtualResources } from '../virtual.ts';
import { andThen, type NowOrLater } from '../now-or-later.ts';
import { type Attributes, type Authorizer, decision } from './authorizer.ts';

interface Question {
  readonly resourceAttributes?: V1ResourceAttributes;
  readonly nonResourceAttributes?: V1NonResourceAttributes;
}

interface Subject {
  readonly user?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export function accessReviews(authorizer: Authorizer): VirtualResources {
  return new Map<string, (call: Call) => NowOrLater<Answer>>([
    [
      'authorization.k8s.io/selfsubjectaccessreviews',
      (call) => {
        const review = decodeBody(call, SelfSubjectAccessReview);
        check(SelfSubjectAccessReview, review);
        return andThen(answer(authorizer, call.user, review.spec), (status) => created({ ...review, status }));
      },
    ],
    [
      'authorization.k8s.io/subjectaccessreviews',
      (call) => {
        const review = decodeBody(call, SubjectAccessReview);
        check(SubjectAccessReview, review);
        return andThen(answer(authorizer, userOf(review.spec), review.spec), (status) => created({ ...review, status }));
      },
    ],
    [
      'authorization.k8s.io/localsubjectaccessreviews',
      (call) => {
        const review = decodeBody(call, LocalSubjectAccessReview);
        review.metadata.namespace ??= call.target.namespace ?? '';
        check(LocalSubjectAccessReview, review);
        return andThen(answer(authorizer, userOf(review.spec), review.spec), (status) => created({ ...review, status }));
      },
    ],
    [
      'authorization.k8s.io/selfsubjectrulesreviews',
      (call) => {
        const review = decodeBody(call, SelfSubjectRulesReview);
        const namespace = review.spec?.namespace ?? '';
        if (namespace === '') throw badRequest('no namespace on request');
        const { resourceRules, pathRules, incomplete, error } = authorizer.rulesFor(call.user, namespace);
        const listed = resourceRules.map(({ verbs, apiGroups, resources, resourceNames }) => ({
          verbs: [...verbs],
          apiGroups: [...apiGroups],
          resources: [...resources],
          ...(resourceNames.length > 0 && { resourceNames: [...resourceNames] }),
        }));
        const nonResourceRules = pathRules.map(({ verbs, nonResourceURLs }) => ({ verbs: [...verbs], nonResourceURLs: [...nonResourceURLs] }));
        return created({
          ...review,
          status: { resourceRules: listed, nonResourceRules, incomplete, ...(error !== undefined && { evaluationError: error }) },
        });
      },
    ],
  ]);
}

function check<T extends KubeObject>(kind: Kind<T>, review: T): void {
  const errors = kind.validate?.(review, undefined) ?? [];
  if (errors.length > 0) throw invalid(kind, '', errors);
}

function userOf(spec: Subject): User {
  return { name: spec.user ?? '', uid: spec.uid ?? '', groups: spec.groups ?? [], extra: spec.extra ?? {} };
}

function answer(authorizer: Authorizer, user: User, question: Question): NowOrLater<V1SubjectAccessReviewStatus> {
  return andThen(decision(authorizer, attributesOf(user, question)), ({ verdict, reason }) => ({
    allowed: verdict === 'allowed',
    ...(verdict === 'denied' && { denied: true }),
    ...(reason !== '' && { reason }),
  }));
}

function attributesOf(user: User, { resourceAttributes: about, nonResourceAttributes: path }: Question): Attributes {
  return {
    user,
    verb: about?.verb ?? path?.verb ?? '',
    group: about?.group ?? '',
    version: about?.version ?? '',
    resource: about?.resource ?? '',
    subresource: about?.subresource ?? '',
    namespace: about?.namespace ?? '',
    name: about?.name ?? '',
    path: about === undefined ? (path?.path ?? '') : '',
    ...selectorTexts(about),
  };
}

/** The selectors of a question as a client would have written them in a request. */
function selectorTexts(about: V1ResourceAttributes | undefined): Pick<Attributes, 'fieldSelector' | 'labelSelector'> {
  const { fieldSelector, labelSelector } = about ?? {};
  return {
    ...(fieldSelector && { fieldSelector: fieldSelector.rawSelector ?? textOfRequirements(fieldSelector.requirements) }),
    ...(labelSelector && { labelSelector: labelSelector.rawSelector ?? textOfRequirements(labelSelector.requirements) }),
  };
}

function textOfRequirements(requirements: readonly { key: string; operator: string; values?: readonly string[] }[] | undefined): string {
  return (requirements ?? [])
    .map(({ key, operator, values = [] }) => {
      const [only = ''] = values;
      if (operator === 'Exists') return key;
      if (operator === 'DoesNotExist') return `!${key}`;
      if (values.length === 1) return `${key}${operator === 'In' ? '=' : '!='}${only}`;
      return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
    })
    .join(',');
}

function created(object: SelfSubjectAccessReview | SubjectAccessReview | LocalSubjectAccessReview | SelfSubjectRulesReview): Answer {
  return { type: 'object', code: 201, object };
}
