/** `matchConditions` of a webhook: expressions in CEL over the write, all of which must hold for the webhook to be asked. */
import type { V1MatchCondition } from '../../../api/types.ts';
import { CelError, type CelProgram, compileCel } from '../../../machinery/cel.ts';
import { forbidden } from '../../../machinery/errors.ts';
import type { AdmissionRequest } from '../admission.ts';
import { reviewRequestOf } from './review.ts';
import type { Webhook } from './webhook.ts';

export interface MatchCondition {
  readonly name: string;
  readonly holds: CelProgram;
}

const variables = ['object', 'oldObject', 'request'];

/** An expression that cannot be read fails when it is asked, as the webhook's failure policy says. */
export function matchConditionsOf(declared: readonly V1MatchCondition[] | undefined): readonly MatchCondition[] {
  return (declared ?? []).map(({ name, expression }) => {
    try {
      return { name, holds: compileCel(expression, variables) };
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      const holds = (): never => {
        throw error;
      };
      return { name, holds };
    }
  });
}

/** One that does not hold settles it, whatever comes of the others; otherwise one that fails refuses the write, or leaves the webhook out. */
export function conditionsHold(webhook: Webhook, request: AdmissionRequest): boolean {
  if (webhook.matchConditions.length === 0) return true;
  const values = { object: request.object ?? null, oldObject: request.oldObject ?? null, request: reviewRequestOf(request, '') };
  let failure: string | undefined;
  for (const { name, holds } of webhook.matchConditions) {
    try {
      if (holds(values) !== true) return false;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      failure ??= `${name}: ${error.message}`;
    }
  }
  if (failure === undefined) return true;
  if (webhook.failsOpen) return false;
  throw forbidden(request.resource, request.name, `failed to evaluate match conditions of webhook ${JSON.stringify(webhook.name)}: ${failure}`);
}
