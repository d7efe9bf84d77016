/** What a custom resource's schema says about the types and sizes of values, as rules in CEL see them. */
import { kubernetesFunctions, type Environment } from '../machinery/cel.ts';
import { maxRequestBytes } from '../machinery/cel/cost.ts';
import { escapedFieldName } from '../machinery/cel/field-names.ts';
import * as types from '../machinery/cel/types.ts';
import { type CelType, listOf, mapOf, objectOf, optionalOf } from '../machinery/cel/types.ts';
import type { V1JSONSchemaProps } from './types.ts';

/** Variables of a rule on a value of this schema. */
export function ruleEnvironment(schema: V1JSONSchemaProps, isRoot: boolean, isOldOptional: boolean): Environment {
  const self = ruleType(schema, isRoot);
  const variables = new Map<string, CelType>([
    ['self', self],
    ['oldSelf', isOldOptional ? optionalOf(self) : self],
  ]);
  return { variables, functions: kubernetesFunctions };
}

export function ruleType(schema: V1JSONSchemaProps, isRoot = false): CelType {
  if (schema['x-kubernetes-int-or-string'] === true) return types.dyn;
  switch (schema.type) {
    case 'array':
      return listType(schema);
    case 'object':
      return objectType(schema, isRoot);
    case 'string':
      return textType(schema);
    case 'integer':
      return types.int;
    case 'number':
      return types.double;
    case 'boolean':
      return types.bool;
    default:
      return types.dyn;
  }
}

export function isSchema(value: unknown): value is V1JSONSchemaProps {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How many items fit into a request where nothing else says how many there may be. */
export function maxItemsOf(schema: V1JSONSchemaProps): number {
  return schema.maxItems ?? Math.floor((maxRequestBytes - 2) / (isSchema(schema.items) ? leastBytes(schema.items) + 1 : 2));
}

export function maxPropertiesOf(schema: V1JSONSchemaProps): number {
  const { additionalProperties: values } = schema;
  // A key is at least `"":` and a comma follows.
  return schema.maxProperties ?? Math.floor((maxRequestBytes - 2) / (isSchema(values) ? leastBytes(values) + 6 : 6));
}

function listType(schema: V1JSONSchemaProps): CelType {
  return listOf(isSchema(schema.items) ? ruleType(schema.items) : types.dyn, maxItemsOf(schema));
}

function objectType(schema: V1JSONSchemaProps, isRoot: boolean): CelType {
  const { additionalProperties, properties = {} } = schema;
  if (isSchema(additionalProperties)) return mapOf(types.string, ruleType(additionalProperties), maxPropertiesOf(schema));
  if (additionalProperties === true) return mapOf(types.string, types.dyn, maxPropertiesOf(schema));
  const fields = new Map<string, CelType>();
  for (const [name, inner] of Object.entries(properties)) fields.set(escapedFieldName(name), ruleType(inner));
  if (isRoot || schema['x-kubernetes-embedded-resource'] === true) {
    fields.set('apiVersion', types.string).set('kind', types.string).set('metadata', metadataType);
  }
  return { kind: 'object', name: 'object', field: (name) => fields.get(name) };
}

const metadataType = objectOf('object', {
  name: { kind: 'string', maxSize: 253 },
  generateName: { kind: 'string', maxSize: 253 },
});

function textType({ format, maxLength, enum: choices }: V1JSONSchemaProps): CelType {
  switch (format) {
    case 'byte':
      return { kind: 'bytes', maxSize: maxLength ?? maxRequestBytes - 2 };
    case 'date':
    case 'date-time':
      return types.timestamp;
    case 'duration':
      return types.duration;
    default: {
      if (choices !== undefined) return { kind: 'string', maxSize: Math.max(0, ...choices.map((choice) => String(choice).length)) };
      // A character may take four bytes.
      return { kind: 'string', maxSize: maxLength === undefined ? maxRequestBytes - 2 : maxLength * 4 };
    }
  }
}

/** The shortest JSON a value can be. */
export function leastBytes(schema: V1JSONSchemaProps): number {
  switch (schema.type) {
    case 'boolean':
      return 4;
    case 'string':
      return schema.format === 'date' ? 12 : schema.format === 'date-time' ? 22 : 2;
    case 'array':
      return 2;
    case 'object': {
      const required = new Set(schema.required);
      return Object.entries(schema.properties ?? {}).reduce(
        (size, [name, inner]) => (required.has(name) && inner.default === undefined ? size + name.length + 4 + leastBytes(inner) : size),
        2,
      );
    }
    default:
      return 1;
  }
}
