/**
 * `x-kubernetes-validations`: rules in CEL about a value (`self`) and what it replaces (`oldSelf`). Follows
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
 */
import type { V1ValidationRule } from '../../api/types.ts';
import { CelError, compileCel, optionalValue } from '../../machinery/cel.ts';
import { equal } from '../../machinery/equal.ts';
import { at, duplicate, type FieldError, forbiddenField, invalidValue, required } from '../../machinery/field-error.ts';
import { celValue } from './cel-value.ts';
import { type Fields, isFields, type Structure } from './structure.ts';

/** `old` is what the object replaces; undefined for a new one. */
export function validateRules(object: object, old: object | undefined, root: Structure): FieldError[] {
  const errors: FieldError[] = [];
  if (root.hasRules) judge(object, old, root, '', errors, true);
  return errors;
}

/** `old` is undefined where there is nothing to compare with. */
function judge(value: unknown, old: unknown, structure: Structure, path: string, errors: FieldError[], isRoot = false): void {
  if (!structure.hasRules || value === null || value === undefined) return;
  const rules = structure.props['x-kubernetes-validations'] ?? [];
  if (rules.length > 0) {
    const isUnchanged = old !== undefined && equal(value, old);
    const self = celValue(value, structure, isRoot);
    const oldSelf = old === undefined || old === null ? undefined : celValue(old, structure, isRoot);
    for (const rule of rules) {
      const error = broken(rule, { self, oldSelf, isUnchanged }, structure, path);
      if (error) errors.push(error);
    }
  }
  if (Array.isArray(value)) judgeItems(value, Array.isArray(old) ? old : undefined, structure, path, errors);
  else if (isFields(value)) judgeFields(value, isFields(old) ? old : undefined, structure, path, errors);
}

function judgeFields(value: Fields, old: Fields | undefined, { properties, additional }: Structure, path: string, errors: FieldError[]): void {
  for (const [key, item] of Object.entries(value)) {
    const inner = properties.get(key) ?? (typeof additional === 'object' ? additional : undefined);
    if (inner?.hasRules === true) judge(item, old?.[key], inner, path === '' ? key : `${path}.${key}`, errors);
  }
}

/** Only items of lists with keys can be told apart, and compared with what they were. */
function judgeItems(
  list: readonly unknown[],
  old: readonly unknown[] | undefined,
  { items, props }: Structure,
  path: string,
  errors: FieldError[],
): void {
  if (items?.hasRules !== true) return;
  const keys = props['x-kubernetes-list-type'] === 'map' ? (props['x-kubernetes-list-map-keys'] ?? []) : [];
  const keyOf = (item: unknown): string => JSON.stringify(keys.map((key) => (isFields(item) ? (item[key] ?? null) : null)));
  const before = new Map(keys.length > 0 ? old?.map((item) => [keyOf(item), item]) : []);
  for (const [index, item] of list.entries()) judge(item, keys.length > 0 ? before.get(keyOf(item)) : undefined, items, at(path, index), errors);
}

interface Situation {
  readonly self: unknown;
  readonly oldSelf: unknown;
  readonly isUnchanged: boolean;
}

const variables = ['self', 'oldSelf'];

function broken(rule: V1ValidationRule, { self, oldSelf, isUnchanged }: Situation, structure: Structure, path: string): FieldError | undefined {
  const isTransition = /\boldSelf\b/.test(rule.rule);
  const isOptional = rule.optionalOldSelf === true;
  if (isTransition && oldSelf === undefined && !isOptional) return undefined;
  // What has not changed was judged when it did.
  if (!isTransition && isUnchanged) return undefined;
  const bound = { self, oldSelf: isOptional ? optionalValue(oldSelf) : oldSelf };
  try {
    if (compileCel(rule.rule, variables)(bound) === true) return undefined;
    return failure(rule, messageOf(rule, bound), structure, path);
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return invalidValue(shownPath(path), structure.type, `${error.message} evaluating rule: ${rule.rule}`);
  }
}

function messageOf({ rule, message, messageExpression }: V1ValidationRule, bound: Readonly<Record<string, unknown>>): string {
  const plain = message === undefined || message === '' ? `failed rule: ${rule.trim()}` : message;
  if (messageExpression === undefined || messageExpression === '') return plain;
  try {
    const text = compileCel(messageExpression, variables)(bound);
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
