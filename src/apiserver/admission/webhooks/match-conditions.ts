/** `matchConditions` of webhooks and policies: expressions in CEL over the write, all of which must hold for it to be their business. */
import type { V1MatchCondition } from '../../../api/types.ts';
import { compileWanted, wantBool, webhookEnvironment } from '../../../api/admission-expressions.ts';
import { CelBudget, CelError, type CelExpression, celLimits, type Environment } from '../../../machinery/cel.ts';
import { forbidden } from '../../../machinery/errors.ts';
import { andThen, type NowOrLater } from '../../now-or-later.ts';
import type { AdmissionRequest } from '../admission.ts';
import { type Rights, type Values, whenKnown, writeValues } from '../expressions.ts';
import type { Webhook } from './webhook.ts';

export interface MatchCondition {
  readonly name: string;
  /** One that cannot be read fails when it is asked. */
  readonly expression: CelExpression | CelError;
}

export function matchConditionsOf(
  declared: readonly V1MatchCondition[] | undefined,
  environment: Environment = webhookEnvironment,
): readonly MatchCondition[] {
  return (declared ?? []).map(({ name, expression }) => {
    try {
      return { name, expression: compileWanted(expression, environment, wantBool) };
    } catch (error) {
      if (error instanceof CelError) return { name, expression: error };
      throw error;
    }
  });
}

/** True or false; or why it cannot be told. One that does not hold settles it, whatever comes of the others. */
export function evaluateConditions(conditions: readonly MatchCondition[], values: Values): boolean | string {
  const budget = new CelBudget(celLimits.matchConditions);
  let failure: string | undefined;
  for (const { name, expression } of conditions) {
    try {
      if (expression instanceof CelError) throw expression;
      if (expression.evaluate(values, budget) !== true) return false;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      failure ??= `${name}: ${error.message}`;
    }
  }
  return failure ?? true;
}

/** A failure refuses the write, or leaves the webhook out, as its failure policy says. */
export function conditionsHold(webhook: Webhook, request: AdmissionRequest, rights: Rights): NowOrLater<boolean> {
  const values = writeValues(request, rights);
  return andThen(
    whenKnown(() => evaluateConditions(webhook.matchConditions, values)),
    (outcome) => {
      if (typeof outcome === 'boolean') return outcome;
      if (webhook.failsOpen) return false;
      const why = `failed to evaluate match conditions of webhook ${JSON.stringify(webhook.name)}: ${outcome}`;
      throw forbidden(request.resource, request.name, why);
    },
  );
}
