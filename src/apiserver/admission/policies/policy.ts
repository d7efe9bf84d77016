/** Admission policies and their bindings, ready to be judged by: compiled once for each change, and what both kinds of policies do before they judge. */
import { compileWanted, wantAnything, type WantedType } from '../../../api/admission-expressions.ts';
import type { Kind } from '../../../api/kind.ts';
import { type BindingSpec, declaredVariables, environmentOf, type PolicySpec } from '../../../api/kinds/admission-policy-checks.ts';
import type { V1MatchResources } from '../../../api/types.ts';
import { CelBudget, CelError, type CelExpression, celLimits, type Environment } from '../../../machinery/cel.ts';
import { FieldSource } from '../../../machinery/cel/values.ts';
import { ApiError, forbidden } from '../../../machinery/errors.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import type { Registry } from '../../registry/registry.ts';
import type { AdmissionRequest } from '../admission.ts';
import { celJson, type Values } from '../expressions.ts';
import { matchedKind, type WriteMatcher, writeMatcher } from '../matching.ts';
import type { AuthorizerSource } from '../permission.ts';
import { evaluateConditions, type MatchCondition, matchConditionsOf } from '../webhooks/match-conditions.ts';
import { ConfigurationError, parametersOf } from './parameters.ts';

export interface PolicySources {
  readonly registry: Registry;
  readonly authorizer: AuthorizerSource;
}

/** An expression, or why it is none: that is told when it is asked. */
export type Compiled = CelExpression | CelError;

export interface Policy<Spec extends PolicySpec> {
  readonly name: string;
  readonly spec: Spec;
  readonly matcher: WriteMatcher;
  readonly failsOpen: boolean;
  readonly conditions: readonly MatchCondition[];
  readonly variables: readonly { readonly name: string; readonly expression: Compiled }[];
  /** With all variables; messages must do without the authorizer. */
  readonly environment: Environment;
  readonly messageEnvironment: Environment;
}

export interface BoundPolicy<Spec extends PolicySpec, Bound extends BindingSpec> {
  readonly policy: Policy<Spec>;
  readonly binding: { readonly name: string; readonly spec: Bound; readonly matcher: WriteMatcher | undefined };
}

type PolicyObject<Spec extends PolicySpec> = KubeObject & { readonly spec: Spec };

/** Answers every binding with its policy, by the policies' names and then the bindings'; a plain look-up while nothing changes. */
export function boundPolicies<Spec extends PolicySpec, Bound extends BindingSpec>(
  registry: Registry,
  policyKind: Kind<PolicyObject<Spec>>,
  bindingKind: Kind<KubeObject & { readonly spec: Bound }>,
  isMutating: boolean,
): () => readonly BoundPolicy<Spec, Bound>[] {
  let [policiesSeen, bindingsSeen] = [-1, -1];
  let bound: readonly BoundPolicy<Spec, Bound>[] = [];
  const compiled = new WeakMap<object, Policy<Spec>>();
  const policyOf = (object: PolicyObject<Spec>): Policy<Spec> => {
    let policy = compiled.get(object);
    if (!policy) {
      policy = compilePolicy(object, isMutating);
      compiled.set(object, policy);
    }
    return policy;
  };
  return () => {
    const [policyRevision, bindingRevision] = [registry.revision(policyKind), registry.revision(bindingKind)];
    if (policyRevision !== policiesSeen || bindingRevision !== bindingsSeen) {
      [policiesSeen, bindingsSeen] = [policyRevision, bindingRevision];
      const policies = new Map(registry.list(policyKind).map((object) => [object.metadata.name, object]));
      bound = registry
        .list(bindingKind)
        .flatMap(({ metadata, spec }) => {
          const policy = policies.get(spec.policyName ?? '');
          const matcher = spec.matchResources && matcherOf(spec.matchResources, true);
          return policy ? [{ policy: policyOf(policy), binding: { name: metadata.name, spec, matcher } }] : [];
        })
        .toSorted((a, b) => byName(a.policy, b.policy) || byName(a.binding, b.binding));
    }
    return bound;
  };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** A binding narrows what its policy matches: without rules of its own, by selectors alone. */
function matcherOf(match: V1MatchResources, isBinding: boolean): WriteMatcher {
  const everything = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] };
  const rules = isBinding && (match.resourceRules ?? []).length === 0 ? [everything] : match.resourceRules;
  return writeMatcher({
    rules,
    excluded: match.excludeResourceRules,
    namespaceSelector: match.namespaceSelector,
    objectSelector: match.objectSelector,
    matchPolicy: match.matchPolicy,
  });
}

function compilePolicy<Spec extends PolicySpec>({ metadata, spec }: PolicyObject<Spec>, isMutating: boolean): Policy<Spec> {
  const declared = declaredVariables(spec, isMutating);
  return {
    name: metadata.name,
    spec,
    matcher: matcherOf(spec.matchConstraints ?? {}, false),
    failsOpen: spec.failurePolicy === 'Ignore',
    conditions: matchConditionsOf([...(spec.matchConditions ?? [])], environmentOf(spec, [], isMutating)),
    variables: (spec.variables ?? []).map(({ name, expression }, index) => ({
      name,
      expression: compiledOr(expression, environmentOf(spec, declared.slice(0, index), isMutating), wantAnything),
    })),
    environment: environmentOf(spec, declared, isMutating),
    messageEnvironment: environmentOf(spec, declared, isMutating, false),
  };
}

export function compiledOr(expression: string, environment: Environment, wanted: WantedType): Compiled {
  try {
    return compileWanted(expression, environment, wanted);
  } catch (error) {
    if (error instanceof CelError) return error;
    throw error;
  }
}

export function evaluated(expression: Compiled, values: Values, budget: CelBudget): unknown {
  if (expression instanceof CelError) throw expression;
  return expression.evaluate(values, budget);
}

/** The kind in whose version a bound policy sees a write; undefined when it is not its business. */
export function boundKind<Spec extends PolicySpec, Bound extends BindingSpec>(
  { policy, binding }: BoundPolicy<Spec, Bound>,
  request: AdmissionRequest,
  registry: Registry,
): Kind | undefined {
  const kind = matchedKind(policy.matcher, request, registry);
  return kind && (binding.matcher === undefined || matchedKind(binding.matcher, request, registry)) ? kind : undefined;
}

/** `variables`: each is worked out when it is first asked for, and fails for all who ask. */
class Variables extends FieldSource {
  readonly #policy: Policy<PolicySpec>;
  readonly #values: Values;
  readonly #budget: CelBudget;
  readonly #known = new Map<string, unknown>();

  constructor(policy: Policy<PolicySpec>, values: Values, budget: CelBudget) {
    super();
    this.#policy = policy;
    this.#values = values;
    this.#budget = budget;
  }

  get(field: string): unknown {
    if (!this.#known.has(field)) this.#known.set(field, this.#evaluate(field));
    const value = this.#known.get(field);
    if (value instanceof CelError) throw value;
    return value;
  }

  #evaluate(field: string): unknown {
    const variable = this.#policy.variables.find(({ name }) => name === field);
    if (!variable) return undefined;
    try {
      return evaluated(variable.expression, { ...this.#values, variables: this }, this.#budget);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      return new CelError(`composited variable "${field}" fails to evaluate: ${error.message}`);
    }
  }
}

/** What a policy does with one parameter object, when its conditions hold. */
export type Judge = (values: Values, budget: CelBudget) => void;

/**
 * Judges with every parameter object in turn. Failures of the configuration are the caller's to tell: of a condition that cannot be evaluated and of
 * parameters that are not there, as {@link ConfigurationError}.
 */
export function withParameters<Spec extends PolicySpec, Bound extends BindingSpec>(
  { policy, binding }: BoundPolicy<Spec, Bound>,
  registry: Registry,
  request: AdmissionRequest,
  base: Values,
  judge: Judge,
): void {
  const budget = new CelBudget(celLimits.perRequest);
  for (const params of parametersOf(registry, policy.spec.paramKind, binding.spec.paramRef, request.namespace)) {
    const values = { ...base, ...(policy.spec.paramKind !== undefined && { params: celJson(params) }) };
    const holds = evaluateConditions(policy.conditions, values);
    if (typeof holds === 'string') throw new ConfigurationError(`failed to evaluate match conditions: ${holds}`);
    if (holds) judge({ ...values, variables: new Variables(policy, values, budget) }, budget);
  }
}

const codes: Readonly<Record<string, number>> = { Forbidden: 403, Unauthorized: 401, RequestEntityTooLarge: 413, Invalid: 422 };

/** A refusal in the words of upstream's `NewForbidden`, with a reason and code of the policy's choice. */
export function policyDenial(request: AdmissionRequest, message: string, reason = 'Invalid'): ApiError {
  const { message: whole, details } = forbidden(request.resource, request.name, message);
  const known = reason === 'Forbidden' || reason === 'Unauthorized' || reason === 'RequestEntityTooLarge' ? reason : 'Invalid';
  return new ApiError(known, whole, { ...details, causes: [{ reason: '', message }] }, codes[known] ?? 422);
}
