/** LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview (authorization.k8s.io/v1). */
import { defineKind, virtualKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import { validateLocalReview, validateReview, validateSelfReview } from './access-review-rules.ts';
import type { V1LocalSubjectAccessReview, V1SelfSubjectAccessReview, V1SelfSubjectRulesReview, V1SubjectAccessReview } from '../types.ts';

export type LocalSubjectAccessReview = V1LocalSubjectAccessReview;

export const LocalSubjectAccessReview: Kind<V1LocalSubjectAccessReview> = defineKind<V1LocalSubjectAccessReview>({
  group: 'authorization.k8s.io',
  kind: 'LocalSubjectAccessReview',
  resource: 'localsubjectaccessreviews',
  model: 'V1LocalSubjectAccessReview',
  validate: validateLocalReview,
  ...virtualKind,
});

export type SelfSubjectAccessReview = V1SelfSubjectAccessReview;

export const SelfSubjectAccessReview: Kind<V1SelfSubjectAccessReview> = defineKind<V1SelfSubjectAccessReview>({
  group: 'authorization.k8s.io',
  kind: 'SelfSubjectAccessReview',
  resource: 'selfsubjectaccessreviews',
  model: 'V1SelfSubjectAccessReview',
  validate: validateSelfReview,
  namespaced: false,
  ...virtualKind,
});

export type SelfSubjectRulesReview = V1SelfSubjectRulesReview;

export const SelfSubjectRulesReview: Kind<V1SelfSubjectRulesReview> = defineKind<V1SelfSubjectRulesReview>({
  group: 'authorization.k8s.io',
  kind: 'SelfSubjectRulesReview',
  resource: 'selfsubjectrulesreviews',
  model: 'V1SelfSubjectRulesReview',
  namespaced: false,
  ...virtualKind,
});

export type SubjectAccessReview = V1SubjectAccessReview;

export const SubjectAccessReview: Kind<V1SubjectAccessReview> = defineKind<V1SubjectAccessReview>({
  group: 'authorization.k8s.io',
  kind: 'SubjectAccessReview',
  resource: 'subjectaccessreviews',
  model: 'V1SubjectAccessReview',
  validate: validateReview,
  namespaced: false,
  ...virtualKind,
});
