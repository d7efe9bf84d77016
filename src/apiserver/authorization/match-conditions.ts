/** `matchConditions` of an authorization webhook: expressions in CEL over the SubjectAccessReview's spec, all of which must hold for it to be asked. */
import type { V1SubjectAccessReviewSpec } from '../../api/types.ts';
import { CelError, type CelProgram, compileCel } from '../../machinery/cel.ts';

export interface MatchCondition {
  readonly holds: CelProgram;
}

/** Throws a {@link CelError} for an expression that does not compile. */
export function matchConditionOf(expression: string): MatchCondition {
  return { holds: compileCel(expression, ['request']) };
}

/** One that does not hold settles it, whatever comes of the others; otherwise the error of one that failed. */
export function doesMatch(conditions: readonly MatchCondition[], spec: V1SubjectAccessReviewSpec): boolean | CelError {
  // Texts that are not there are empty, as in upstream's typed request; parts that are not there are absent.
  const { resourceAttributes, nonResourceAttributes } = spec;
  const request = {
    user: spec.user ?? '',
    uid: spec.uid ?? '',
    groups: spec.groups ?? [],
    extra: spec.extra ?? {},
    ...(resourceAttributes && {
      resourceAttributes: { namespace: '', verb: '', group: '', version: '', resource: '', subresource: '', name: '', ...resourceAttributes },
    }),
    ...(nonResourceAttributes && { nonResourceAttributes: { path: '', verb: '', ...nonResourceAttributes } }),
  };
  let failure: CelError | undefined;
  for (const { holds } of conditions) {
    try {
      if (holds({ request }) !== true) return false;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      failure ??= error;
    }
  }
  return failure ?? true;
}
