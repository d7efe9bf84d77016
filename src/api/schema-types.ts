/** What the schema of a kind says about the types of its objects, as expressions of admission policies may be checked against. */
import * as types from '../machinery/cel/types.ts';
import { type CelType, listOf, mapOf } from '../machinery/cel/types.ts';
import { escapedFieldName } from '../machinery/cel/field-names.ts';
import type { Schema } from '../machinery/schema.ts';
import { ruleType } from './rule-types.ts';
import { schemaOf } from './schemas.ts';
import type { V1JSONSchemaProps } from './types.ts';

/** Models hold themselves, and each other: fields are looked up as they are asked for. */
export function typeOfSchema(schema: Schema): CelType {
  switch (schema.type) {
    case 'string':
    case 'quantity':
      return types.string;
    case 'time':
    case 'micro-time':
      return types.timestamp;
    case 'integer':
      return types.int;
    case 'number':
      return types.double;
    case 'boolean':
      return types.bool;
    case 'bytes':
      return types.bytes;
    case 'list':
      return listOf(typeOfSchema(schema.items));
    case 'map':
      return mapOf(types.string, typeOfSchema(schema.values));
    case 'object':
      if (schema.preserveUnknown) return types.dyn;
      return { kind: 'object', name: schema.name === '' ? 'object' : schema.name, field: (name) => fieldType(schema.properties, name) };
    default:
      return types.dyn;
  }
}

function fieldType(properties: Readonly<Record<string, { readonly schema: Schema }>>, name: string): CelType | undefined {
  for (const [key, { schema }] of Object.entries(properties)) if (escapedFieldName(key) === name) return typeOfSchema(schema);
  return undefined;
}

/** Of a custom resource, with the metadata all objects have. */
export function typeOfCustomResource(schema: V1JSONSchemaProps): CelType {
  const own = ruleType(schema, true);
  if (own.kind !== 'object') return own;
  return { ...own, field: (name) => (name === 'metadata' ? typeOfSchema(schemaOf('V1ObjectMeta')) : own.field(name)) };
}
