/** LimitRange (core/v1): what one container, pod or claim of a namespace may ask for, and gets when it does not say. */
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { nameAndCreation } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
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
          const limit = more?.[resource];
          if (limit === undefined || parseQuantity(amount).compare(parseQuantity(limit)) <= 0) continue;
          errors.push(invalidValue(at(`${path}.${name}`, resource), amount, `${words} ${amount} is greater than ${moreWords} ${limit}`));
        }
      }
    }
    return errors;
  });
}
