/**
 * `x-kubernetes-validations`: rules in CEL about a value (`self`) and what it replaces (`oldSelf`). Follows
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
 */
import type { V1ValidationRule } from '../../api/types.ts';
import { ruleEnvironment } from '../../api/rule-types.ts';
import {
  CelBudget,
  CelCostError,
  CelError,
  type CelExpression,
  celLimits,
  compileExpression,
  type Environment,
  optionalValue,
  outOfBudget,
} from '../../machinery/cel.ts';
import { equal } from '../../machinery/equal.ts';
import { at, duplicate, type FieldError, forbiddenField, invalidValue, required } from '../../machinery/field-error.ts';
import { celValue } from './cel-value.ts';
import { type Fields, isFields, type Structure } from './structure.ts';

/** `old` is what the object replaces; undefined for a new one. */
export function validateRules(object: object, old: object | undefined, root: Structure): FieldError[] {
  const errors: FieldError[] = [];
  if (!root.hasRules) return errors;
  try {
    judge(object, old, root, '', { errors, budget: new CelBudget(celLimits.perRequest) }, true);
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
  }
  return errors;
}

/** What is found on the way through an object, and what may still be spent on it. */
interface Judgement {
  readonly errors: FieldError[];
  readonly budget: CelBudget;
}

/** The error says so already; nothing more is judged. */
class BudgetSpent extends Error {}

/** `old` is undefined where there is nothing to compare with. */
function judge(value: unknown, old: unknown, structure: Structure, path: string, judgement: Judgement, isRoot = false): void {
  if (!structure.hasRules || value === null || value === undefined) return;
  const rules = structure.props['x-kubernetes-validations'] ?? [];
  if (rules.length > 0) {
    const isUnchanged = old !== undefined && equal(value, old);
    const self = celValue(value, structure, isRoot);
    const oldSelf = old === undefined || old === null ? undefined : celValue(old, structure, isRoot);
    for (const rule of rules) {
      const error = broken(rule, { self, oldSelf, isUnchanged, isRoot, judgement }, structure, path);
      if (error) judgement.errors.push(error);
    }
  }
  if (Array.isArray(value)) judgeItems(value, Array.isArray(old) ? old : undefined, structure, path, judgement);
  else if (isFields(value)) judgeFields(value, isFields(old) ? old : undefined, structure, path, judgement);
}

function judgeFields(value: Fields, old: Fields | undefined, { properties, additional }: Structure, path: string, judgement: Judgement): void {
  for (const [key, item] of Object.entries(value)) {
    const inner = properties.get(key) ?? (typeof additional === 'object' ? additional : undefined);
    if (inner?.hasRules === true) judge(item, old?.[key], inner, path === '' ? key : `${path}.${key}`, judgement);
  }
}

/** Only items of lists with keys can be told apart, and compared with what they were. */
function judgeItems(
  list: readonly unknown[],
  old: readonly unknown[] | undefined,
  { items, props }: Structure,
  path: string,
  judgement: Judgement,
): void {
  if (items?.hasRules !== true) return;
  const keys = props['x-kubernetes-list-type'] === 'map' ? (props['x-kubernetes-list-map-keys'] ?? []) : [];
  const keyOf = (item: unknown): string => JSON.stringify(keys.map((key) => (isFields(item) ? (item[key] ?? null) : null)));
  const before = new Map(keys.length > 0 ? old?.map((item) => [keyOf(item), item]) : []);
  for (const [index, item] of list.entries()) judge(item, keys.length > 0 ? before.get(keyOf(item)) : undefined, items, at(path, index), judgement);
}

interface Situation {
  readonly self: unknown;
  readonly oldSelf: unknown;
  readonly isUnchanged: boolean;
  readonly isRoot: boolean;
  readonly judgement: Judgement;
}

function broken(rule: V1ValidationRule, situation: Situation, structure: Structure, path: string): FieldError | undefined {
  const { self, oldSelf, isUnchanged, isRoot, judgement } = situation;
  const environment = environmentOf(rule, structure, isRoot);
  let condition: CelExpression;
  try {
    condition = compileExpression(rule.rule, environment);
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return invalidValue(shownPath(path), structure.type, `rule compile error: ${error.message}`);
  }
  const isTransition = condition.mentions('oldSelf');
  const isOptional = rule.optionalOldSelf === true;
  if (isTransition && oldSelf === undefined && !isOptional) return undefined;
  // What has not changed was judged when it did.
  if (!isTransition && isUnchanged) return undefined;
  const bound = { self, oldSelf: isOptional ? optionalValue(oldSelf) : oldSelf };
  try {
    if (condition.evaluate(bound, judgement.budget) === true) return undefined;
    return failure(rule, messageOf(rule, bound, environment, judgement.budget), structure, path);
  } catch (error) {
    if (error instanceof CelCostError) {
      const why =
        error.message === outOfBudget ? outOfBudget : `no further validation rules will be run due to call cost exceeds limit for rule: ${rule.rule}`;
      judgement.errors.push(invalidValue(shownPath(path), structure.type, why));
      throw new BudgetSpent();
    }
    if (!(error instanceof CelError)) throw error;
    return invalidValue(shownPath(path), structure.type, `${error.message} evaluating rule: ${rule.rule}`);
  }
}

const environments = new WeakMap<Structure, Map<string, Environment>>();

/** The types of a place's values are worked out once. */
function environmentOf({ optionalOldSelf }: V1ValidationRule, structure: Structure, isRoot: boolean): Environment {
  let known = environments.get(structure);
  if (known === undefined) {
    known = new Map();
    environments.set(structure, known);
  }
  const key = `${isRoot} ${optionalOldSelf === true}`;
  let environment = known.get(key);
  if (environment === undefined) {
    environment = ruleEnvironment(structure.props, isRoot, optionalOldSelf === true);
    known.set(key, environment);
  }
  return environment;
}

function messageOf(
  { rule, message, messageExpression }: V1ValidationRule,
  bound: Readonly<Record<string, unknown>>,
  environment: Environment,
  budget: CelBudget,
): string {
  const plain = message === undefined || message === '' ? `failed rule: ${rule.trim()}` : message;
  if (messageExpression === undefined || messageExpression === '') return plain;
  try {
    const text = compileExpression(messageExpression, environment).evaluate(bound, budget);
    // As upstream: what is no one line of text is not shown.
    return typeof text === 'string' && text.trim() !== '' && !text.includes('\n') ? text.trim() : plain;
  } catch (error) {
    if (error instanceof CelError) return plain;
    throw error;
  }
}

function failure({ reason, fieldPath }: V1ValidationRule, message: string, { type }: Structure, path: string): FieldError {
  const field = shownPath(fieldPath === undefined ? path : `${path}${fieldPath}`.replace(/^\./, ''));
  switch (reason) {
    case 'FieldValueForbidden':
      return forbiddenField(field, message);
    case 'FieldValueRequired':
      return required(field, message);
    case 'FieldValueDuplicate':
      return duplicate(field, type);
    default:
      return invalidValue(field, type, message);
  }
}

/** The object as a whole has no path: upstream shows it as Go prints none. */
function shownPath(path: string): string {
  return path === '' ? '<nil>' : path;
}
