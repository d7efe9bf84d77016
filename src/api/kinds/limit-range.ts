/** LimitRange (core/v1): what one container, pod or claim of a namespace may ask for, and gets when it does not say. */
import { own } from '../../machinery/own.ts';
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { nameAndCreation } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import { nonNegativeAmount, requiredName } from '../field-checks.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { validateContainerResource, validateResourceName } from '../pods/validate-resources.ts';
import type { Kind } from '../kind.ts';
import type { V1LimitRange, V1LimitRangeItem } from '../types.ts';

export type LimitRange = V1LimitRange;

export const LimitRange: Kind<V1LimitRange> = defineKind<V1LimitRange>({
  kind: 'LimitRange',
  resource: 'limitranges',
  model: 'V1LimitRange',
  shortNames: ['limits'],
  defaults({ spec }) {
    for (const item of spec.limits ?? []) {
      if (item.type !== 'Container') continue;
      // Nothing said: a container may have the most, and asks for what it may have, or else the least.
      for (const [name, amount] of Object.entries(item.max ?? {})) (item.default ??= {})[name] ??= amount;
      for (const [name, amount] of [...Object.entries(item.default ?? {}), ...Object.entries(item.min ?? {})])
        (item.defaultRequest ??= {})[name] ??= amount;
    }
  },
  validate: ({ spec }) => validateItems('spec.limits', spec.limits ?? []),
  columns: nameAndCreation,
});

function validateItems(field: string, items: readonly V1LimitRangeItem[]): FieldError[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => {
    const path = at(field, index);
    const errors: FieldError[] = [];
    if (seen.has(item.type)) errors.push(duplicate(`${path}.type`, item.type));
    seen.add(item.type);
    errors.push(...validateType(`${path}.type`, item.type));
    for (const part of amountFields)
      for (const [name, amount] of Object.entries(item[part] ?? {}))
        errors.push(...validateAmount(at(`${path}.${part}`, name), name, amount, item.type));
    if (item.type === 'Pod') {
      if (item.default !== undefined) errors.push(forbiddenField(`${path}.default`, "may not be specified when `type` is 'Pod'"));
      if (item.defaultRequest !== undefined) errors.push(forbiddenField(`${path}.defaultRequest`, "may not be specified when `type` is 'Pod'"));
    }
    if (item.type === 'PersistentVolumeClaim' && item.min?.['storage'] === undefined && item.max?.['storage'] === undefined) {
      errors.push(required(`${path}.limits`, 'either minimum or maximum storage value is required, but neither was provided'));
    }
    const order = [
      ['min', 'min value', item.min],
      ['defaultRequest', 'default request value', item.defaultRequest],
      ['default', 'default value', item.default],
      ['max', 'max value', item.max],
    ] as const;
    for (const [lower, [name, words, amounts]] of order.entries()) {
      for (const [, moreWords, more] of order.slice(lower + 1)) {
        for (const [resource, amount] of Object.entries(amounts ?? {})) {
          const limit = own(more, resource);
          if (limit === undefined || parseQuantity(amount).compare(parseQuantity(limit)) <= 0) continue;
          errors.push(invalidValue(at(`${path}.${name}`, resource), amount, `${words} ${amount} is greater than ${moreWords} ${limit}`));
        }
      }
    }
    return [...errors, ...validateRatios(path, item)];
  });
}

const amountFields = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;
const limitTypes = ['Pod', 'Container', 'PersistentVolumeClaim'];

function validateType(field: string, type: string): FieldError[] {
  const errors = requiredName(field, type, qualifiedNameErrors);
  if (errors.length > 0 || type.includes('/') || limitTypes.includes(type)) return errors;
  return [invalidValue(field, type, 'must be a standard limit type or fully qualified')];
}

function validateAmount(field: string, name: string, amount: string, type: string): FieldError[] {
  const checked = type === 'Pod' || type === 'Container' ? validateContainerResource(field, name) : validateResourceName(field, name);
  return [...checked, ...nonNegativeAmount(field, amount)];
}

/** How many times its request a limit may be: at least one, and no more than the bounds leave room for. */
function validateRatios(field: string, { min = {}, max = {}, maxLimitRequestRatio = {} }: V1LimitRangeItem): FieldError[] {
  return Object.entries(maxLimitRequestRatio).flatMap(([name, text]) => {
    const path = at(`${field}.maxLimitRequestRatio`, name);
    const ratio = parseQuantity(text).toNumber();
    if (ratio < 1) return [invalidValue(path, text, `ratio ${text} is less than 1`)];
    const [least, most] = [own(min, name), own(max, name)];
    if (least === undefined || most === undefined) return [];
    const room = parseQuantity(most).toNumber() / parseQuantity(least).toNumber();
    return ratio > room ? [invalidValue(path, text, `ratio ${text} is greater than max/min = ${room.toFixed(6)}`)] : [];
  });
}
