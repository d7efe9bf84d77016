/** Checks that validators of many kinds share: each names the field and says in upstream's words what is wrong, or returns nothing. */
import { equal } from '../machinery/equal.ts';
import { at, duplicate, FieldError, forbiddenField, invalidValue, notSupported, required, tooMany } from '../machinery/field-error.ts';
import { percentOf } from '../machinery/int-or-percent.ts';
import { cidrErrors, ipErrors, labelValueErrors, percentErrors, portNameErrors, portNumberErrors, qualifiedNameErrors } from '../machinery/names.ts';
import { parseQuantity } from '../machinery/quantity.ts';
import type { V1LabelSelector } from './types.ts';

/** One error for each message about the value. */
export function messages(field: string, value: unknown, texts: readonly string[]): FieldError[] {
  return texts.map((text) => invalidValue(field, value, text));
}

export function nonNegative(field: string, value: number | undefined): FieldError[] {
  return value !== undefined && value < 0 ? [invalidValue(field, value, 'must be greater than or equal to 0')] : [];
}

export function positive(field: string, value: number | undefined): FieldError[] {
  return value !== undefined && value <= 0 ? [invalidValue(field, value, 'must be greater than 0')] : [];
}

export function inRange(field: string, value: number | undefined, from: number, to: number): FieldError[] {
  return value !== undefined && (value < from || value > to) ? [invalidValue(field, value, `must be between ${from} and ${to}, inclusive`)] : [];
}

export function requiredText(field: string, value: string | undefined, detail = ''): FieldError[] {
  return value === undefined || value === '' ? [required(field, detail)] : [];
}

/** An absent value is fine. */
export function oneOf(field: string, value: string | undefined, supported: readonly string[]): FieldError[] {
  return value === undefined || supported.includes(value) ? [] : [notSupported(field, value, supported)];
}

/** An absent or empty value is not. */
export function requiredOneOf(field: string, value: string | undefined, supported: readonly string[], detail = ''): FieldError[] {
  return value === undefined || value === '' ? [required(field, detail)] : oneOf(field, value, supported);
}

/** A name that may be absent or empty. */
export function optionalName(field: string, name: string | undefined, check: (name: string) => readonly string[]): FieldError[] {
  return name === undefined || name === '' ? [] : messages(field, name, check(name));
}

/** A name that must be there. */
export function requiredName(field: string, name: string | undefined, check: (name: string) => readonly string[], detail = ''): FieldError[] {
  return name === undefined || name === '' ? [required(field, detail)] : messages(field, name, check(name));
}

/** Fields that may not be set, all for one reason. */
export function noneSet<T extends object>(field: string, object: T, names: readonly (keyof T & string)[], why: string): FieldError[] {
  return names.filter((name) => object[name] !== undefined).map((name) => forbiddenField(`${field}.${name}`, why));
}

export function atMost(field: string, list: readonly unknown[] | undefined, max: number): FieldError[] {
  return list !== undefined && list.length > max ? [tooMany(field, list.length, max)] : [];
}

/** Every value after its first occurrence; `idOf` is what must differ. */
export function noDuplicates<T>(field: string, list: readonly T[] | undefined, idOf: (item: T) => unknown = (item) => item, part = ''): FieldError[] {
  const seen = new Set<unknown>();
  const errors: FieldError[] = [];
  for (const [index, item] of (list ?? []).entries()) {
    const id = idOf(item);
    if (seen.has(id)) errors.push(duplicate(`${at(field, index)}${part}`, id));
    seen.add(id);
  }
  return errors;
}

export function nonNegativeAmount(field: string, amount: string | undefined): FieldError[] {
  if (amount === undefined || parseQuantity(amount).sign() >= 0) return [];
  return [invalidValue(field, amount, 'must be greater than or equal to 0')];
}

/** Seconds a token is asked for. */
export function tokenLifetime(field: string, seconds: number | undefined): FieldError[] {
  if (seconds === undefined) return [];
  if (seconds < 600) return [invalidValue(field, seconds, 'may not specify a duration less than 10 minutes')];
  return seconds > 2 ** 32 ? [invalidValue(field, seconds, 'may not specify a duration larger than 2^32 seconds')] : [];
}

export function ipAddress(field: string, text: string): FieldError[] {
  return messages(field, text, ipErrors(text));
}

export function cidr(field: string, text: string): FieldError[] {
  return messages(field, text, cidrErrors(text));
}

export function immutable(field: string, value: unknown, old: unknown): FieldError[] {
  return equal(value, old) ? [] : [invalidValue(field, value ?? null, 'field is immutable')];
}

export function portNumber(field: string, value: number): FieldError[] {
  return messages(field, value, portNumberErrors(value));
}

/** A port by number or by name. */
export function portNumberOrName(field: string, value: number | string): FieldError[] {
  return messages(field, value, typeof value === 'number' ? portNumberErrors(value) : portNameErrors(value));
}

/** A count or a percentage, neither negative. */
export function nonNegativeIntOrPercent(field: string, value: number | string | undefined): FieldError[] {
  if (value === undefined) return [];
  return typeof value === 'number' ? nonNegative(field, value) : messages(field, value, percentErrors(value));
}

export function atMostHundredPercent(field: string, value: number | string | undefined): FieldError[] {
  const percent = typeof value === 'string' ? percentOf(value) : undefined;
  return percent !== undefined && percent > 100 ? [invalidValue(field, value, 'must not be greater than 100%')] : [];
}

export function labels(field: string, map: Readonly<Record<string, string>> | undefined): FieldError[] {
  return Object.entries(map ?? {}).flatMap(([key, value]) => [
    ...messages(field, key, qualifiedNameErrors(key)),
    ...messages(field, value, labelValueErrors(value)),
  ]);
}

export function labelSelector(field: string, selector: V1LabelSelector | undefined): FieldError[] {
  if (selector === undefined) return [];
  const errors = labels(`${field}.matchLabels`, selector.matchLabels);
  for (const [index, { key, operator, values }] of (selector.matchExpressions ?? []).entries()) {
    const path = at(`${field}.matchExpressions`, index);
    if (operator === 'In' || operator === 'NotIn') {
      if ((values ?? []).length === 0) errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if ((values ?? []).length > 0)
        errors.push(forbiddenField(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else {
      errors.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'));
    }
    errors.push(...messages(`${path}.key`, key, qualifiedNameErrors(key)));
    for (const [which, value] of (values ?? []).entries()) errors.push(...messages(at(`${path}.values`, which), value, labelValueErrors(value)));
  }
  return errors;
}

export function isEmptySelector(selector: V1LabelSelector | undefined): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length === 0 && (selector?.matchExpressions ?? []).length === 0;
}

/** Puts the errors of a part under the part's own path. */
export function under(prefix: string, errors: readonly FieldError[]): FieldError[] {
  return errors.map((error) => new FieldError(error.reason, `${prefix}${error.field.startsWith('[') ? '' : '.'}${error.field}`, error.detail()));
}

/** `matchLabelKeys` adds to a selector: it needs one, and may not name a key the selector already has. */
export function matchLabelKeys(
  field: string,
  keys: readonly string[] | undefined,
  selectorField: string,
  selector: V1LabelSelector | undefined,
): FieldError[] {
  if (keys === undefined || keys.length === 0) return [];
  if (selector === undefined) return [forbiddenField(field, `must not be specified when ${selectorField.split('.').at(-1) ?? ''} is not set`)];
  const taken = new Set(Object.keys(selector.matchLabels ?? {}).concat((selector.matchExpressions ?? []).map(({ key }) => key)));
  return keys.flatMap((key, index) => [
    ...messages(at(field, index), key, qualifiedNameErrors(key)),
    ...(taken.has(key) ? [invalidValue(at(field, index), key, 'exists in both matchLabelKeys and labelSelector')] : []),
  ]);
}
