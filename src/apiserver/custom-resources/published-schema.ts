/** A custom kind's schema as OpenAPI publishes it: version 3 says what the definition says, version 2 what of it its clients can stand. */
import type { V1JSONSchemaProps } from '../../api/types.ts';
import { isFields } from './structure.ts';

export function publishedSchema(props: V1JSONSchemaProps, openApi: 2 | 3): Readonly<Record<string, unknown>> {
  return openApi === 3 ? { ...props } : forVersion2(props);
}

/** OpenAPI 2 has no combinations and no nulls; and kubectl refuses what it thinks it knows better, so where more is allowed than a type says, none is told. */
function forVersion2(props: V1JSONSchemaProps): Record<string, unknown> {
  const { properties, items, additionalProperties, required, type } = props;
  const isOpen = props['x-kubernetes-preserve-unknown-fields'] === true;
  const isAnyType = props.nullable === true || isOpen || props['x-kubernetes-int-or-string'] === true;
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(props)) if (!judgedElsewhere.has(key)) result[key] = value;
  if (type !== undefined && !isAnyType) result['type'] = type;
  if (isOpen) return result;
  if (required && props.nullable !== true) result['required'] = required;
  if (properties) result['properties'] = Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, forVersion2(inner)]));
  if (isFields(items) && !isAnyType) result['items'] = forVersion2(items);
  if (additionalProperties !== undefined && !isAnyType) {
    result['additionalProperties'] = isFields(additionalProperties) ? forVersion2(additionalProperties) : additionalProperties;
  }
  return result;
}

/** Left out, or written with care. */
const judgedElsewhere: ReadonlySet<string> = new Set([
  'additionalProperties',
  'allOf',
  'anyOf',
  'items',
  'not',
  'nullable',
  'oneOf',
  'properties',
  'required',
  'type',
]);
