/**
 * CEL, the language of rules in Kubernetes, with the functions Kubernetes adds: expressions are compiled once against the variables they may use, and
 * evaluated often, within budgets. See https://kubernetes.io/docs/reference/using-api/cel/
 */
import { type Checked, check, type Environment } from './cel/checker.ts';
import { estimateCost } from './cel/cost.ts';
import { CelCostError, CelError, shownIssues } from './cel/errors.ts';
import { compileSteps, Run, type Step } from './cel/evaluate.ts';
import { addKubernetesFunctions } from './cel/kubernetes-functions.ts';
import { addListFunctions } from './cel/list-functions.ts';
import { Functions } from './cel/overloads.ts';
import { parse } from './cel/parser.ts';
import { addStandard } from './cel/standard.ts';
import type { Expr } from './cel/syntax.ts';
import { addTextFunctions } from './cel/text-functions.ts';
import { type CelType, dyn } from './cel/types.ts';
import { absent, Optional } from './cel/values.ts';

export { CelCostError, CelError, CelPending } from './cel/errors.ts';
export type { Environment } from './cel/checker.ts';

/** Throws a {@link CelError} when the values do not allow an answer. */
export type CelProgram = (variables: Readonly<Record<string, unknown>>) => unknown;

/** Upstream's limits, in its cost units. */
export const celLimits = {
  /** What one evaluation may cost. */
  perCall: 1_000_000,
  /** What all of one request's may cost together. */
  perRequest: 10_000_000,
  /** What all match conditions of one webhook or policy may cost together. */
  matchConditions: 2_500_000,
  /** What one rule of a definition may be estimated to cost at most, and what all of one schema may. */
  ruleEstimate: 10_000_000,
  schemaEstimate: 100_000_000,
} as const;

export const outOfBudget = 'validation failed due to running out of cost budget, no further validation rules will be run';

/** What is left to spend; shared by all evaluations that are to be afforded together. */
export class CelBudget {
  remaining: number;

  constructor(total: number) {
    this.remaining = total;
  }
}

const functions = new Functions();
for (const add of [addStandard, addTextFunctions, addListFunctions, addKubernetesFunctions]) add(functions);

/** All of CEL's and Kubernetes' functions; libraries that need more than values begin with these. */
export const kubernetesFunctions: Functions = functions;

/** Expressions longer than this are refused: nothing real is. */
const maxLength = 64 * 1024;

export class CelExpression {
  readonly text: string;
  readonly type: CelType;
  readonly #expr: Expr;
  readonly #checked: Checked;
  readonly #step: Step;

  constructor(text: string, expr: Expr, checked: Checked) {
    this.text = text;
    this.type = checked.type;
    this.#expr = expr;
    this.#checked = checked;
    this.#step = compileSteps(expr, checked);
  }

  /** Throws a {@link CelError} when the values do not allow an answer, a {@link CelCostError} when finding it costs too much. */
  evaluate(variables: Readonly<Record<string, unknown>>, budget?: CelBudget): unknown {
    const limit = budget === undefined ? celLimits.perCall : Math.min(celLimits.perCall, budget.remaining);
    const run = new Run(variables, limit);
    try {
      return this.#step(run);
    } catch (error) {
      if (error instanceof CelCostError && limit < celLimits.perCall) throw new CelCostError(outOfBudget);
      // Values nest no deeper than requests may, but an expression that walks them adds its own depth.
      if (error instanceof RangeError) throw new CelError(error.message);
      throw error;
    } finally {
      if (budget !== undefined) budget.remaining -= run.cost;
    }
  }

  /** The most it can cost, whatever the variables hold. */
  estimatedCost(): number {
    return estimateCost(this.#expr, this.#checked);
  }

  /** Whether a name occurs as a variable: rules about `oldSelf` are about changes. */
  mentions(name: string): boolean {
    for (const expr of this.#checked.types.keys()) if (expr.type === 'identifier' && expr.name === name) return true;
    return false;
  }
}

const compiled = new WeakMap<Environment, Map<string, CelExpression>>();
const maxCompiled = 10_000;

/** Throws a {@link CelError} that shows what is wrong and where. The same text is compiled once for an environment. */
export function compileExpression(text: string, environment: Environment): CelExpression {
  let known = compiled.get(environment);
  if (known === undefined) {
    known = new Map();
    compiled.set(environment, known);
  }
  let expression = known.get(text);
  if (expression === undefined) {
    expression = compile(text, environment);
    if (known.size >= maxCompiled) known.clear();
    known.set(text, expression);
  }
  return expression;
}

function compile(text: string, environment: Environment): CelExpression {
  if (text.length > maxLength) throw new CelError(`the expression is longer than ${maxLength} characters`);
  const expr = parse(text);
  const checked = check(expr, environment);
  if (checked.issues.length > 0) throw new CelError(shownIssues(text, checked.issues));
  return new CelExpression(text, expr, checked);
}

const environments = new Map<string, Environment>();

/** Values of the variables are taken as they come. */
export function compileCel(expression: string, variables: readonly string[]): CelProgram {
  const names = variables.join(' ');
  let environment = environments.get(names);
  if (environment === undefined) {
    environment = { variables: new Map(variables.map((name) => [name, dyn])), functions: kubernetesFunctions };
    environments.set(names, environment);
  }
  const program = compileExpression(expression, environment);
  return (values) => program.evaluate(values);
}

/** For variables that may be absent: `oldSelf.hasValue()`. */
export function optionalValue(value: unknown): Optional {
  return value === undefined ? absent : Optional.of(value);
}
