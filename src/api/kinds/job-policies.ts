/** Rules for what makes a Job fail or succeed early: `podFailurePolicy` and `successPolicy`. Follows `validatePodFailurePolicy` and `validateSuccessPolicy`. */
import { at, invalidValue, required, tooLong, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { atMost, messages, noDuplicates, nonNegative, requiredOneOf } from '../field-checks.ts';
import type { V1JobSpec, V1PodFailurePolicyOnExitCodesRequirement, V1PodFailurePolicyRule, V1SuccessPolicyRule } from '../types.ts';

const maxRules = 20;
const maxExitCodes = 255;
const maxPatterns = 20;
const maxIndexesLength = 64 * 1024;

export function validateFailurePolicy(field: string, spec: V1JobSpec): FieldError[] {
  const rules = spec.podFailurePolicy?.rules ?? [];
  const { containers = [], initContainers = [] } = spec.template.spec ?? {};
  const names = new Set([...containers, ...initContainers].map(({ name }) => name));
  return [
    ...atMost(`${field}.rules`, rules, maxRules),
    ...rules.flatMap((rule, index) => validateRule(at(`${field}.rules`, index), rule, names, spec.backoffLimitPerIndex !== undefined)),
  ];
}

function quoted(words: readonly string[]): string {
  return `valid values: [${words.map((word) => JSON.stringify(word)).join(' ')}]`;
}

function validateRule(field: string, rule: V1PodFailurePolicyRule, names: ReadonlySet<string>, perIndex: boolean): FieldError[] {
  const { action, onExitCodes, onPodConditions = [] } = rule;
  const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
  const errors = requiredOneOf(`${field}.action`, action, actions, quoted(actions));
  if (action === 'FailIndex' && !perIndex) errors.push(invalidValue(`${field}.action`, action, 'requires the backoffLimitPerIndex to be set'));
  if (onExitCodes !== undefined) errors.push(...validateExitCodes(`${field}.onExitCodes`, onExitCodes, names));
  errors.push(...atMost(`${field}.onPodConditions`, onPodConditions, maxPatterns));
  for (const [index, { type, status }] of onPodConditions.entries()) {
    const path = at(`${field}.onPodConditions`, index);
    const states = ['False', 'True', 'Unknown'];
    errors.push(...messages(`${path}.type`, type, qualifiedNameErrors(type)), ...requiredOneOf(`${path}.status`, status, states, quoted(states)));
  }
  if (onExitCodes !== undefined && onPodConditions.length > 0)
    errors.push(invalidValue(field, rule, 'specifying both OnExitCodes and OnPodConditions is not supported'));
  if (onExitCodes === undefined && onPodConditions.length === 0)
    errors.push(invalidValue(field, rule, 'specifying one of OnExitCodes and OnPodConditions is required'));
  return errors;
}

function validateExitCodes(field: string, codes: V1PodFailurePolicyOnExitCodesRequirement, names: ReadonlySet<string>): FieldError[] {
  const { containerName, operator, values } = codes;
  const errors = requiredOneOf(`${field}.operator`, operator, ['In', 'NotIn'], quoted(['In', 'NotIn']));
  if (containerName !== undefined && !names.has(containerName))
    errors.push(invalidValue(`${field}.containerName`, containerName, 'must be one of the container or initContainer names in the pod template'));
  const path = `${field}.values`;
  if (values.length === 0) errors.push(invalidValue(path, values, 'at least one value is required'));
  errors.push(...atMost(path, values, maxExitCodes), ...noDuplicates(path, values));
  const zero = values.indexOf(0);
  if (operator === 'In' && zero >= 0) errors.push(invalidValue(at(path, zero), 0, 'must not be 0 for the In operator'));
  const ordered = values.every((value, index) => index === 0 || (values[index - 1] ?? value) <= value);
  return ordered ? errors : [...errors, invalidValue(path, values, 'must be ordered')];
}

export function validateSuccessPolicy(field: string, { successPolicy, completionMode, completions }: V1JobSpec): FieldError[] {
  if (successPolicy === undefined) return [];
  if (completionMode !== 'Indexed') return [invalidValue(field, successPolicy, 'requires indexed completion mode')];
  const rules = successPolicy.rules ?? [];
  if (rules.length === 0) return [required(`${field}.rules`, 'at least one rules must be specified when the successPolicy is specified')];
  return [
    ...atMost(`${field}.rules`, rules, maxRules),
    ...rules.flatMap((rule, index) => validateSuccessRule(at(`${field}.rules`, index), rule, completions ?? 0)),
  ];
}

function validateSuccessRule(
  field: string,
  { succeededCount: count, succeededIndexes: indexes }: V1SuccessPolicyRule,
  completions: number,
): FieldError[] {
  if (count === undefined && indexes === undefined) return [required(field, 'at least one of succeededCount or succeededIndexes must be specified')];
  const errors = nonNegative(`${field}.succeededCount`, count);
  let named: number | undefined;
  if (indexes !== undefined) {
    const path = `${field}.succeededIndexes`;
    if (indexes.length > maxIndexesLength) errors.push(tooLong(path, maxIndexesLength));
    const parsed = countIndexes(indexes, completions);
    if (typeof parsed === 'string') errors.push(invalidValue(path, indexes, `error parsing succeededIndexes: ${parsed}`));
    else named = parsed;
  }
  if (count === undefined) return errors;
  const tooManyOf = (most: number, of: string): FieldError =>
    invalidValue(`${field}.succeededCount`, count, `must be less than or equal to ${most} (${of})`);
  if (count > completions) errors.push(tooManyOf(completions, 'the number of specified completions'));
  if (named !== undefined && count > named) errors.push(tooManyOf(named, 'the number of indexes in the specified succeededIndexes field'));
  return errors;
}

/** How many indexes `1,3-5,7` names, or what is wrong with it: they rise, and stay below the completions. */
function countIndexes(text: string, completions: number): number | string {
  if (text === '') return 0;
  let count = 0;
  let last = -1;
  for (const range of text.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    if (match === null) return `cannot convert string to integer for index: ${JSON.stringify(range)}`;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (from <= last) return `non-increasing order, previous: ${last}, current: ${from}`;
    if (match[2] !== undefined && to <= from) return `non-increasing order, previous: ${from}, current: ${to}`;
    if (to >= completions) return `too large index: ${JSON.stringify(range)}`;
    count += to - from + 1;
    last = to;
  }
  return count;
}
