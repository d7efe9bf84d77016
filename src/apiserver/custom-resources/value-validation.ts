/**
 * Values against a custom kind's schema, every fault named, in the words clients know from upstream (`k8s.io/kube-openapi/pkg/validation/validate`). On an
 * update what has not changed is not judged again: a stricter schema does not keep older objects from being changed elsewhere (validation ratcheting).
 */
import type { V1JSONSchemaProps } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { at, duplicate, FieldError, invalidValue, notSupported, required, tooMany, typeInvalid } from '../../machinery/field-error.ts';
import { hasFormat } from './formats.ts';
import { patternOf } from '../../machinery/re2-pattern.ts';
import { type Fields, isFields, metaFields, type Structure } from './structure.ts';

/** `old` is what the object replaces; undefined for a new one. */
export function validateValue(object: object, old: object | undefined, root: Structure): FieldError[] {
  const errors: FieldError[] = [];
  new Judge(errors).fields(object as Fields, old as Fields | undefined, root, '', true);
  return errors;
}

class Judge {
  private readonly errors: FieldError[];

  constructor(errors: FieldError[]) {
    this.errors = errors;
  }

  /** `old` is undefined where there is nothing to compare with. */
  value(value: unknown, old: unknown, structure: Structure, path: string): void {
    if (old !== undefined && equal(value, old)) return;
    if (value === null && structure.isNullable) return;
    if (!this.props(value, structure.props, path)) return;
    if (isFields(value)) this.fields(value, isFields(old) ? old : undefined, structure, path, structure.isEmbedded);
    else if (Array.isArray(value)) this.items(value, Array.isArray(old) ? old : undefined, structure, path);
  }

  fields(value: Fields, old: Fields | undefined, structure: Structure, path: string, isWhole: boolean): void {
    const { properties, additional, props } = structure;
    // The root has not been judged by itself.
    if (path === '') this.props(value, { ...props, ...withoutMeta(props) }, path);
    if (isWhole && path !== '') {
      for (const field of ['apiVersion', 'kind'])
        if ((value[field] ?? '') === '') this.errors.push(required(below(path, field), 'must not be empty'));
    }
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined || (isWhole && metaFields.has(key))) continue;
      const known = properties.get(key) ?? (typeof additional === 'object' ? additional : undefined);
      if (known) this.value(item, old?.[key], known, below(path, key));
    }
  }

  private items(list: readonly unknown[], old: readonly unknown[] | undefined, { items, props }: Structure, path: string): void {
    const listType = props['x-kubernetes-list-type'];
    const keys = listType === 'map' ? (props['x-kubernetes-list-map-keys'] ?? []) : [];
    const keyOf = (item: unknown): string | undefined => {
      if (listType === 'set') return JSON.stringify(item);
      return listType === 'map' && isFields(item) ? JSON.stringify(keys.map((key) => item[key] ?? null)) : undefined;
    };
    const before = new Map(old?.map((item) => [keyOf(item), item]));
    const seen = new Set<string>();
    for (const [index, item] of list.entries()) {
      const key = keyOf(item);
      // Items of other lists have nothing to be told apart by.
      if (items) this.value(item, key === undefined ? undefined : before.get(key), items, at(path, index));
      if (key === undefined) continue;
      if (seen.has(key)) this.errors.push(duplicate(at(path, index), listType === 'set' ? item : keyFields(item, keys)));
      seen.add(key);
    }
  }

  /** Judges the value itself; false when it is of a wrong type, and nothing below it needs to be looked at. */
  private props(value: unknown, props: V1JSONSchemaProps, path: string): boolean {
    const { errors } = this;
    const wanted = wantedTypes(props);
    const found = typeName(value);
    if (wanted.length > 0 && !wanted.some((type) => type === found || (type === 'number' && found === 'integer'))) {
      errors.push(typeInvalid(path, found, `${shownPath(path)} in body must be of type ${wanted.join(',')}: ${JSON.stringify(found)}`));
      return false;
    }
    if (props.enum && !props.enum.some((allowed) => equal(allowed, value))) {
      errors.push(
        notSupported(
          path,
          value,
          props.enum.map((allowed) => (typeof allowed === 'string' ? allowed : JSON.stringify(allowed))),
        ),
      );
    }
    if (typeof value === 'string') this.text(value, props, path);
    else if (typeof value === 'number') this.number(value, props, path);
    else if (Array.isArray(value)) this.list(value, props, path);
    else if (isFields(value)) this.object(value, props, path);
    this.combinations(value, props, path);
    return true;
  }

  private say(path: string, value: unknown, words: string): void {
    this.errors.push(invalidValue(path, value, `${shownPath(path)} in body ${words}`));
  }

  private text(value: string, { minLength, maxLength, pattern, format }: V1JSONSchemaProps, path: string): void {
    if (maxLength !== undefined || minLength !== undefined) {
      const length = characters(value);
      if (maxLength !== undefined && length > maxLength) {
        this.errors.push(new FieldError('FieldValueTooLong', path, `Too long: may not be more than ${maxLength} bytes`));
      }
      if (minLength !== undefined && length < minLength) this.say(path, value, `should be at least ${minLength} chars long`);
    }
    if (pattern !== undefined && pattern !== '' && !patternOf(pattern).test(value)) this.say(path, value, `should match '${pattern}'`);
    if (format !== undefined && !hasFormat(value, format)) {
      this.errors.push(typeInvalid(path, value, `${shownPath(path)} in body must be of type ${format}: ${JSON.stringify(value)}`));
    }
  }

  private number(value: number, props: V1JSONSchemaProps, path: string): void {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = props;
    if (minimum !== undefined && (exclusiveMinimum === true ? value <= minimum : value < minimum)) {
      this.say(path, value, `should be greater than ${exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`);
    }
    if (maximum !== undefined && (exclusiveMaximum === true ? value >= maximum : value > maximum)) {
      this.say(path, value, `should be less than ${exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`);
    }
    if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) this.say(path, value, `should be a multiple of ${multipleOf}`);
  }

  private list(value: readonly unknown[], { minItems, maxItems, uniqueItems }: V1JSONSchemaProps, path: string): void {
    if (minItems !== undefined && value.length < minItems) this.say(path, value.length, `should have at least ${minItems} items`);
    if (maxItems !== undefined && value.length > maxItems) this.errors.push(tooMany(path, value.length, maxItems));
    if (uniqueItems === true && value.some((item, index) => value.slice(0, index).some((other) => equal(item, other)))) {
      this.say(path, '', "shouldn't contain duplicates");
    }
  }

  private object(value: Fields, { minProperties, maxProperties, required: fields }: V1JSONSchemaProps, path: string): void {
    const count = minProperties === undefined && maxProperties === undefined ? 0 : Object.keys(value).length;
    if (minProperties !== undefined && count < minProperties) this.say(path, count, `should have at least ${minProperties} properties`);
    if (maxProperties !== undefined && count > maxProperties) this.errors.push(tooMany(path, count, maxProperties));
    for (const field of fields ?? []) {
      if (!Object.hasOwn(value, field) || value[field] === undefined) this.errors.push(required(below(path, field)));
    }
  }

  private combinations(value: unknown, { allOf, anyOf, oneOf, not }: V1JSONSchemaProps, path: string): void {
    const words = (text: string): FieldError =>
      new FieldError('FieldValueInvalid', '<nil>', `Invalid value: "": ${JSON.stringify(path)} must ${text}`);
    const { errors } = this;
    if (anyOf && anyOf.length > 0) {
      const failures = anyOf.map((props) => faultsOf(value, props, path));
      if (failures.every(({ length }) => length > 0)) errors.push(words('validate at least one schema (anyOf)'), ...fewest(failures));
    }
    if (oneOf && oneOf.length > 0) {
      const failures = oneOf.map((props) => faultsOf(value, props, path));
      const valid = failures.filter(({ length }) => length === 0).length;
      if (valid === 0) errors.push(words('validate one and only one schema (oneOf). Found none valid'), ...fewest(failures));
      else if (valid > 1) errors.push(words(`validate one and only one schema (oneOf). Found ${valid} valid alternatives`));
    }
    if (allOf && allOf.length > 0) {
      const failures = allOf.flatMap((props) => faultsOf(value, props, path));
      if (failures.length > 0) errors.push(words('validate all the schemas (allOf)'), ...failures);
    }
    if (not && faultsOf(value, not, path).length === 0) errors.push(words('not validate the schema (not)'));
  }

  /** A schema inside a combination: the value and all below it. */
  whole(value: unknown, props: V1JSONSchemaProps, path: string): void {
    if (value === null && props.nullable === true) return;
    if (!this.props(value, props, path)) return;
    if (Array.isArray(value) && isFields(props.items)) {
      for (const [index, item] of value.entries()) this.whole(item, props.items, at(path, index));
    }
    if (!isFields(value)) return;
    for (const [key, item] of Object.entries(value)) {
      const inner = props.properties && Object.hasOwn(props.properties, key) ? props.properties[key] : undefined;
      if (inner) this.whole(item, inner, below(path, key));
      else if (isFields(props.additionalProperties)) this.whole(item, props.additionalProperties, below(path, key));
    }
  }
}

function faultsOf(value: unknown, props: V1JSONSchemaProps, path: string): FieldError[] {
  const errors: FieldError[] = [];
  new Judge(errors).whole(value, props, path);
  return errors;
}

/** The faults of the alternative that comes nearest. */
function fewest(failures: readonly FieldError[][]): readonly FieldError[] {
  return failures.reduce((best, next) => (next.length < best.length ? next : best));
}

function withoutMeta({ required: fields }: V1JSONSchemaProps): Pick<V1JSONSchemaProps, 'required'> {
  return { required: (fields ?? []).filter((field) => !metaFields.has(field)) };
}

function wantedTypes(props: V1JSONSchemaProps): readonly string[] {
  if (props.type !== undefined && props.type !== '') return [props.type];
  return props['x-kubernetes-int-or-string'] === true ? ['integer', 'string'] : [];
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function keyFields(item: unknown, keys: readonly string[]): Fields {
  return Object.fromEntries(keys.flatMap((key) => (isFields(item) && item[key] !== undefined ? [[key, item[key]]] : [])));
}

function below(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`;
}

function shownPath(path: string): string {
  return path === '' ? '.' : path;
}
