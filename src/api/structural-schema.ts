/**
 * What makes a custom resource's schema structural, so that it can prune, default and merge: everything has a type, and what only judges values says nothing
 * about their shape. See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import { at, type FieldError, forbiddenField, invalidValue, notSupported, required } from '../machinery/field-error.ts';
import { patternOf } from '../machinery/re2-pattern.ts';
import { oneOf } from './field-checks.ts';
import { ruleErrors } from './schema-rules.ts';
import type { V1JSONSchemaProps } from './types.ts';

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const unsupported = ['$ref', 'additionalItems', 'definitions', 'dependencies', 'patternProperties'] as const;

/** Deeper schemas are refused: nothing real nests so, and the stack is finite. */
const maxDepth = 200;

export function structuralErrors(field: string, root: V1JSONSchemaProps): FieldError[] {
  const errors = schemaErrors(field, root, 0);
  if ((root.type ?? '') !== '' && root.type !== 'object' && types.includes(root.type ?? '')) {
    errors.push(invalidValue(`${field}.type`, root.type, 'must be object at the root'));
  }
  const { type: _type, description: _description, properties, ...rest } = root.properties?.['metadata'] ?? {};
  const beyond = Object.keys(properties ?? {}).some((name) => name !== 'name' && name !== 'generateName');
  if (beyond || Object.keys(rest).some((key) => key === 'required' || key === 'additionalProperties' || key.startsWith('x-'))) {
    const why = 'must not specify anything other than name and generateName, but metadata is implicitly specified';
    errors.push(forbiddenField(at(`${field}.properties`, 'metadata'), why));
  }
  return [...errors, ...ruleErrors(field, root)];
}

function schemaErrors(field: string, schema: V1JSONSchemaProps, depth: number): FieldError[] {
  if (depth > maxDepth) return [forbiddenField(field, 'is too deeply nested')];
  const isOpen = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  const errors = oneOf(`${field}.type`, schema.type === '' ? undefined : schema.type, types);
  if ((schema.type ?? '') === '' && (depth === 0 || !isOpen)) {
    errors.push(required(`${field}.type`, depth === 0 ? 'must not be empty at the root' : placeWords(field)));
  }
  if (schema['x-kubernetes-int-or-string'] === true && (schema.type ?? '') !== '') {
    errors.push(invalidValue(`${field}.type`, schema.type, 'must be empty if x-kubernetes-int-or-string is true'));
  }
  if (schema['x-kubernetes-embedded-resource'] === true && schema.type !== 'object') {
    errors.push(invalidValue(`${field}.type`, schema.type ?? '', 'must be object if x-kubernetes-embedded-resource is true'));
  }
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    errors.push(invalidValue(`${field}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  }
  for (const key of unsupported) if (schema[key] !== undefined) errors.push(forbiddenField(`${field}.${key}`, `${key} is not supported`));
  if (schema.uniqueItems === true) {
    errors.push(forbiddenField(`${field}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'));
  }
  errors.push(...mapErrors(field, schema), ...listErrors(field, schema), ...patternErrors(field, schema));
  for (const [name, inner] of Object.entries(schema.properties ?? {}))
    errors.push(...schemaErrors(at(`${field}.properties`, name), inner, depth + 1));
  if (isSchema(schema.additionalProperties)) errors.push(...schemaErrors(`${field}.additionalProperties`, schema.additionalProperties, depth + 1));
  if (isSchema(schema.items)) errors.push(...schemaErrors(`${field}.items`, schema.items, depth + 1));
  return [...errors, ...combinationErrors(field, schema, depth)];
}

function placeWords(field: string): string {
  return `must not be empty for specified ${field.endsWith('.items') ? 'array items' : 'object fields'}`;
}

function mapErrors(field: string, { additionalProperties, properties, type, 'x-kubernetes-map-type': mapType }: V1JSONSchemaProps): FieldError[] {
  const errors: FieldError[] = [];
  if (additionalProperties === false) errors.push(forbiddenField(`${field}.additionalProperties`, 'additionalProperties cannot be set to false'));
  if (additionalProperties !== undefined && additionalProperties !== false && Object.keys(properties ?? {}).length > 0) {
    errors.push(forbiddenField(`${field}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  }
  if (mapType === undefined) return errors;
  if (mapType !== 'granular' && mapType !== 'atomic') errors.push(notSupported(`${field}.x-kubernetes-map-type`, mapType, ['granular', 'atomic']));
  if (type !== 'object') errors.push(invalidValue(`${field}.type`, type ?? '', 'must be object if x-kubernetes-map-type is specified'));
  return errors;
}

function listErrors(field: string, schema: V1JSONSchemaProps): FieldError[] {
  const { type, items } = schema;
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const errors: FieldError[] = [];
  if (type === 'array' && items === undefined) errors.push(required(`${field}.items`, 'must be specified'));
  if (Array.isArray(items)) errors.push(forbiddenField(`${field}.items`, 'items must be a schema object and not an array'));
  if (listType !== undefined && type !== 'array')
    errors.push(invalidValue(`${field}.type`, type ?? '', 'must be array if x-kubernetes-list-type is specified'));
  if (listType !== undefined && listType !== 'atomic' && listType !== 'set' && listType !== 'map')
    errors.push(notSupported(`${field}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']));
  if (listType !== 'map') {
    if (keys.length > 0)
      errors.push(forbiddenField(`${field}.x-kubernetes-list-map-keys`, 'must not be specified if x-kubernetes-list-type is not map'));
    return errors;
  }
  if (keys.length === 0) return [...errors, required(`${field}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map')];
  if (!isSchema(items)) return errors;
  if (items.type !== 'object') {
    return [...errors, invalidValue(`${field}.items.type`, items.type ?? '', "must be object if parent array's x-kubernetes-list-type is map")];
  }
  for (const [index, key] of keys.entries()) {
    const inner = items.properties && Object.hasOwn(items.properties, key) ? items.properties[key] : undefined;
    if (inner === undefined) {
      errors.push(invalidValue(at(`${field}.x-kubernetes-list-map-keys`, index), key, 'entries must all be names of item properties'));
    } else if (inner.default === undefined && items.required?.includes(key) !== true) {
      const why = 'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
      errors.push(required(`${at(`${field}.items.properties`, key)}.default`, why));
    }
  }
  return errors;
}

function patternErrors(field: string, { pattern }: V1JSONSchemaProps): FieldError[] {
  if (pattern === undefined) return [];
  try {
    patternOf(pattern);
    return [];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [invalidValue(`${field}.pattern`, pattern, `must be a valid regular expression, but isn't: ${why}`)];
  }
}

const shapeFields = [
  'additionalProperties',
  'default',
  'description',
  'nullable',
  'title',
  'type',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-list-type',
  'x-kubernetes-map-type',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
] as const;

/** Alternatives judge values; what shape these have is said outside of them. */
function combinationErrors(field: string, schema: V1JSONSchemaProps, depth: number): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [index, inner] of (schema[key] ?? []).entries()) {
      // The one way to say which of the two an int-or-string is.
      const mayHaveType = schema['x-kubernetes-int-or-string'] === true;
      errors.push(...valueErrors(at(`${field}.${key}`, index), inner, mayHaveType, depth + 1));
    }
  }
  if (schema.not) errors.push(...valueErrors(`${field}.not`, schema.not, false, depth + 1));
  return errors;
}

function valueErrors(field: string, schema: V1JSONSchemaProps, mayHaveType: boolean, depth: number): FieldError[] {
  if (depth > maxDepth) return [forbiddenField(field, 'is too deeply nested')];
  const errors = patternErrors(field, schema);
  for (const key of shapeFields) {
    const value = schema[key];
    if (value === undefined || value === '' || (key === 'type' && mayHaveType)) continue;
    errors.push(
      forbiddenField(`${field}.${key}`, typeof value === 'string' ? 'must be empty to be structural' : 'must be undefined to be structural'),
    );
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {}))
    errors.push(...valueErrors(at(`${field}.properties`, name), inner, false, depth + 1));
  if (isSchema(schema.items)) errors.push(...valueErrors(`${field}.items`, schema.items, false, depth + 1));
  for (const key of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [index, inner] of (schema[key] ?? []).entries()) {
      errors.push(...valueErrors(at(`${field}.${key}`, index), inner, mayHaveType, depth + 1));
    }
  }
  if (schema.not) errors.push(...valueErrors(`${field}.not`, schema.not, false, depth + 1));
  return errors;
}

function isSchema(value: unknown): value is V1JSONSchemaProps {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
