/**
 * Label selectors, as text (`app=web,tier in (a,b),!canary`) and as objects (`matchLabels`, `matchExpressions`), and what they match. Follows
 * upstream's `labels` package; their grammar is in `label-selector-syntax.ts`.
 */
import { type LabelOperator, type LabelRequirement, integer, parseRequirements, requirement } from './label-selector-syntax.ts';
import { SelectorError } from './selector-error.ts';

export type { LabelOperator, LabelRequirement } from './label-selector-syntax.ts';
export { SelectorError } from './selector-error.ts';
export { escapeFieldValue, type FieldRequirement, type FieldSelector, parseFieldSelector } from './field-selector.ts';

export interface Selector {
  /** Sorted by key; all must hold. Empty also for a selector that matches nothing. */
  readonly requirements: readonly LabelRequirement[];
  matches(labels: Readonly<Record<string, string>> | undefined): boolean;
  /** True when it matches everything. */
  isEmpty(): boolean;
  toString(): string;
}

/** A `LabelSelector` as objects hold it. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] }[];
}

export const everything: Selector = { requirements: [], matches: () => true, isEmpty: () => true, toString: () => '' };
export const nothing: Selector = { requirements: [], matches: () => false, isEmpty: () => false, toString: () => '<none>' };

/** Throws {@link SelectorError}. */
export function parseLabelSelector(text: string): Selector {
  const requirements = parseRequirements(text);
  return requirements.length === 0 ? everything : selectorFrom(requirements);
}

/** What a Service's or a replication controller's plain map of labels selects; an empty or absent map selects nothing. */
export function selectorOfLabels(labels: Readonly<Record<string, string>> | undefined): Selector {
  if (labels === undefined || Object.keys(labels).length === 0) return nothing;
  return selectorFrom(Object.entries(labels).map(([key, value]) => ({ key, operator: '=' as const, values: [value] })));
}

const objectOperators: Readonly<Record<string, LabelOperator>> = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' };

/** An absent selector matches nothing, an empty one everything. Throws {@link SelectorError}. */
export function selectorOf(selector: LabelSelector | undefined): Selector {
  if (selector === undefined) return nothing;
  const requirements = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => requirement(key, '=', [value]));
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const known = Object.hasOwn(objectOperators, operator) ? objectOperators[operator] : undefined;
    if (known === undefined) throw new SelectorError(`${JSON.stringify(operator)} is not a valid label selector operator`);
    requirements.push(requirement(key, known, values ?? []));
  }
  return requirements.length === 0 ? everything : selectorFrom(requirements);
}

/** Node affinity's terms use the object form with two more operators, `Gt` and `Lt`. Throws {@link SelectorError}. */
export function labelRequirement(key: string, operator: string, values: readonly string[] = []): LabelRequirement {
  const known =
    operator === 'Gt' ? 'gt' : operator === 'Lt' ? 'lt' : Object.hasOwn(objectOperators, operator) ? objectOperators[operator] : undefined;
  if (known === undefined) throw new SelectorError(`${JSON.stringify(operator)} is not a valid node selector operator`);
  return requirement(key, known, values);
}

export function selectorFrom(requirements: readonly LabelRequirement[]): Selector {
  const sorted = requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return {
    requirements: sorted,
    matches: (labels) => {
      for (const item of sorted) if (!holds(item, labels)) return false;
      return true;
    },
    isEmpty: () => sorted.length === 0,
    toString: () => sorted.map(printRequirement).join(','),
  };
}

/** Whether one requirement holds for these labels. */
export function holds({ key, operator, values }: LabelRequirement, labels: Readonly<Record<string, string>> | undefined): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return value !== undefined && values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
    case 'lt': {
      if (value === undefined || !integer.test(value)) return false;
      const difference = BigInt(value) - BigInt(values[0] ?? '0');
      return operator === 'gt' ? difference > 0n : difference < 0n;
    }
  }
}

function printRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.join(',')})`;
    case 'gt':
      return `${key}>${values.join(',')}`;
    case 'lt':
      return `${key}<${values.join(',')}`;
    default:
      return `${key}${operator}${values.join(',')}`;
  }
}
