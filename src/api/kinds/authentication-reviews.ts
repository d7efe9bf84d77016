/** SelfSubjectReview, TokenReview (authentication.k8s.io/v1). */
import { defineKind, virtualKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1SelfSubjectReview, V1TokenReview } from '../types.ts';

export type SelfSubjectReview = V1SelfSubjectReview;

export const SelfSubjectReview: Kind<V1SelfSubjectReview> = defineKind<V1SelfSubjectReview>({
  group: 'authentication.k8s.io',
  kind: 'SelfSubjectReview',
  resource: 'selfsubjectreviews',
  model: 'V1SelfSubjectReview',
  namespaced: false,
  ...virtualKind,
});

export type TokenReview = V1TokenReview;

export const TokenReview: Kind<V1TokenReview> = defineKind<V1TokenReview>({
  group: 'authentication.k8s.io',
  kind: 'TokenReview',
  resource: 'tokenreviews',
  model: 'V1TokenReview',
  namespaced: false,
  ...virtualKind,
});
