/** What validating and mutating admission policies have in common: what they match, what their expressions compile to, and how bindings bind them. */
import {
  compileWanted,
  type DeclaredVariable,
  policyEnvironment,
  untyped,
  untypedWithParams,
  wantAnything,
  wantBool,
  type WantedType,
} from '../admission-expressions.ts';
import { labelSelector, messages, requiredOneOf } from '../field-checks.ts';
import { CelError, type Environment } from '../../machinery/cel.ts';
import { at, duplicate, type FieldError, forbiddenField, invalidValue, required, tooMany } from '../../machinery/field-error.ts';
import { cIdentifierErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import type { V1MatchCondition, V1MatchResources, V1NamedRuleWithOperations, V1ParamKind, V1ParamRef, V1Variable } from '../types.ts';
import { validateRule } from './write-rules.ts';

/** What both kinds of policies say in the same words. */
export interface PolicySpec {
  readonly failurePolicy?: string | undefined;
  readonly matchConditions?: readonly V1MatchCondition[] | undefined;
  readonly matchConstraints?: V1MatchResources | undefined;
  readonly paramKind?: V1ParamKind | undefined;
  readonly variables?: readonly V1Variable[] | undefined;
}

export function defaultMatch(match: V1MatchResources): void {
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= '*';
}

/** Variables with the types their expressions have; one that does not compile can still be spoken of. */
export function declaredVariables(spec: PolicySpec, isMutating: boolean): DeclaredVariable[] {
  const declared: DeclaredVariable[] = [];
  for (const { name, expression } of spec.variables ?? []) {
    const environment = environmentOf(spec, declared, isMutating);
    declared.push({ name, type: typeOf(expression, environment) });
  }
  return declared;
}

function typeOf(expression: string, environment: Environment): DeclaredVariable['type'] {
  try {
    return compileWanted(expression, environment, wantAnything).type;
  } catch (error) {
    if (error instanceof CelError) return { kind: 'dyn' };
    throw error;
  }
}

export function environmentOf(spec: PolicySpec, variables: readonly DeclaredVariable[], isMutating: boolean, hasAuthorizer = true): Environment {
  return policyEnvironment({ subjects: spec.paramKind === undefined ? untyped : untypedWithParams, variables, hasAuthorizer, isMutating });
}

/** Everything but what the policy does. */
export function policyErrors(spec: PolicySpec, isMutating: boolean): FieldError[] {
  const errors = requiredOneOf('spec.failurePolicy', spec.failurePolicy, ['Fail', 'Ignore']);
  if (spec.paramKind !== undefined) errors.push(...paramKindErrors(spec.paramKind));
  if (spec.matchConstraints === undefined) errors.push(required('spec.matchConstraints'));
  else {
    if ((spec.matchConstraints.resourceRules ?? []).length === 0) errors.push(required('spec.matchConstraints.resourceRules'));
    errors.push(...matchErrors('spec.matchConstraints', spec.matchConstraints));
  }
  errors.push(...matchConditionErrors('spec.matchConditions', spec.matchConditions ?? [], environmentOf(spec, [], isMutating)));
  return [...errors, ...variableErrors(spec, isMutating)];
}

function paramKindErrors({ apiVersion = '', kind = '' }: V1ParamKind): FieldError[] {
  const errors: FieldError[] = [];
  if (apiVersion === '') errors.push(required('spec.paramKind.apiVersion'));
  else if (apiVersion.split('/').length > 2) {
    errors.push(invalidValue('spec.paramKind.apiVersion', apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  } else if (apiVersion.endsWith('/')) errors.push(invalidValue('spec.paramKind.apiVersion', apiVersion, 'version must be specified'));
  if (kind === '') errors.push(required('spec.paramKind.kind'));
  return errors;
}

function variableErrors(spec: PolicySpec, isMutating: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const declared = declaredVariables(spec, isMutating);
  const names = new Set<string>();
  for (const [index, { name, expression }] of (spec.variables ?? []).entries()) {
    const path = at('spec.variables', index);
    if ((name ?? '') === '') errors.push(required(`${path}.name`, 'name is not specified'));
    else if (cIdentifierErrors(name).length > 0) errors.push(invalidValue(`${path}.name`, name, 'name is not a valid CEL identifier'));
    else if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    errors.push(...expressionErrors(`${path}.expression`, expression, environmentOf(spec, declared.slice(0, index), isMutating), wantAnything));
  }
  return errors;
}

/** Also refused where the expression is missing. */
export function expressionErrors(field: string, expression: string | undefined, environment: Environment, wanted: WantedType): FieldError[] {
  if ((expression ?? '').trim() === '' || expression === undefined) return [required(field, `${field.split('.').at(-1)} is not specified`)];
  try {
    compileWanted(expression, environment, wanted);
    return [];
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return [invalidValue(field, expression, error.message === wanted.shown ? error.message : `compilation failed: ${error.message}`)];
  }
}

const maxMatchConditions = 64;

export function matchConditionErrors(field: string, conditions: readonly V1MatchCondition[], environment: Environment): FieldError[] {
  if (conditions.length > maxMatchConditions) return [tooMany(field, conditions.length, maxMatchConditions)];
  const names = new Set<string>();
  return conditions.flatMap(({ name, expression }, index) => {
    const path = at(field, index);
    const errors = (name ?? '') === '' ? [required(`${path}.name`)] : messages(`${path}.name`, name, qualifiedNameErrors(name));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    return [...errors, ...expressionErrors(`${path}.expression`, expression, environment, wantBool)];
  });
}

// ---- what is matched

export function matchErrors(field: string, match: V1MatchResources): FieldError[] {
  const rules = (name: 'resourceRules' | 'excludeResourceRules'): FieldError[] =>
    (match[name] ?? []).flatMap((rule, index) => namedRuleErrors(at(`${field}.${name}`, index), rule));
  return [
    ...requiredOneOf(`${field}.matchPolicy`, match.matchPolicy, ['Equivalent', 'Exact']),
    ...(match.namespaceSelector === undefined
      ? [required(`${field}.namespaceSelector`)]
      : labelSelector(`${field}.namespaceSelector`, match.namespaceSelector)),
    ...(match.objectSelector === undefined ? [required(`${field}.objectSelector`)] : labelSelector(`${field}.objectSelector`, match.objectSelector)),
    ...rules('resourceRules'),
    ...rules('excludeResourceRules'),
  ];
}

function namedRuleErrors(field: string, rule: V1NamedRuleWithOperations): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, name] of (rule.resourceNames ?? []).entries()) {
    if (names.has(name)) errors.push(duplicate(at(`${field}.resourceNames`, index), name));
    names.add(name);
  }
  return [...errors, ...validateRule(field, rule)];
}

// ---- bindings

export interface BindingSpec {
  readonly policyName?: string | undefined;
  readonly paramRef?: V1ParamRef | undefined;
  readonly matchResources?: V1MatchResources | undefined;
}

export function bindingErrors({ policyName, paramRef, matchResources }: BindingSpec): FieldError[] {
  return [
    ...((policyName ?? '') === '' ? [required('spec.policyName')] : []),
    ...(paramRef === undefined ? [] : paramRefErrors('spec.paramRef', paramRef)),
    ...(matchResources === undefined ? [] : matchErrors('spec.matchResources', matchResources)),
  ];
}

function paramRefErrors(field: string, { name, selector, parameterNotFoundAction: action }: V1ParamRef): FieldError[] {
  const errors: FieldError[] = [];
  const isNamed = (name ?? '') !== '';
  if (!isNamed && selector === undefined) errors.push(required(field, 'one of name or selector must be specified'));
  if (isNamed && selector !== undefined) {
    errors.push(forbiddenField(`${field}.name`, 'name and selector are mutually exclusive'));
    errors.push(forbiddenField(`${field}.selector`, 'name and selector are mutually exclusive'));
  }
  if (selector !== undefined) errors.push(...labelSelector(`${field}.selector`, selector));
  return [...errors, ...requiredOneOf(`${field}.parameterNotFoundAction`, action, ['Allow', 'Deny'])];
}
