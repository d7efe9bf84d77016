/**
 * CEL expressions with the functions Kubernetes adds, compiled once and evaluated often. The language itself is `@marcbachmann/cel-js`. Whole numbers are
 * bigints in it, times `Date`s. See https://kubernetes.io/docs/reference/using-api/cel/
 */
import { Environment, Optional } from '@marcbachmann/cel-js';
import { registerKubernetesLibrary } from './cel-library.ts';

/** The expression is none, or it could not be evaluated with these values. */
export class CelError extends Error {
  override readonly name = 'CelError';
}

/** Throws a {@link CelError} when the values do not allow an answer. */
export type CelProgram = (variables: Readonly<Record<string, unknown>>) => unknown;

const environments = new Map<string, Environment>();
const programs = new Map<string, CelProgram>();
const maxPrograms = 10_000;

/** Expressions longer than this are refused: nothing real is. */
const maxLength = 16 * 1024;

/** Throws a {@link CelError} for what does not parse. Values of the variables are taken as they come. */
export function compileCel(expression: string, variables: readonly string[]): CelProgram {
  const names = variables.join(' ');
  const key = `${names}\n${expression}`;
  let program = programs.get(key);
  if (program === undefined) {
    program = compile(expression, names, variables);
    if (programs.size >= maxPrograms) programs.clear();
    programs.set(key, program);
  }
  return program;
}

function compile(expression: string, names: string, variables: readonly string[]): CelProgram {
  if (expression.length > maxLength) throw new CelError(`the expression is longer than ${maxLength} characters`);
  let environment = environments.get(names);
  if (environment === undefined) {
    environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
    registerKubernetesLibrary(environment);
    for (const variable of variables) environment.registerVariable(variable, 'dyn');
    environments.set(names, environment);
  }
  try {
    const parsed = environment.parse(expression);
    return (values) => {
      try {
        const answer: unknown = parsed({ ...values });
        return answer;
      } catch (error) {
        throw new CelError(firstLine(error));
      }
    };
  } catch (error) {
    throw new CelError(firstLine(error));
  }
}

/** For variables that may be absent: `oldSelf.hasValue()`. */
export function optionalValue(value: unknown): unknown {
  return value === undefined ? Optional.none() : Optional.of(value);
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const end = message.indexOf('\n');
  return end < 0 ? message : message.slice(0, end);
}
