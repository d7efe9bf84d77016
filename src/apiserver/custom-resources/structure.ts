/**
 * A structural schema, read once: what pruning, defaulting, validation and merging walk along. See
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import type { V1JSONSchemaProps } from '../../api/types.ts';

export interface Structure {
  /** As the definition has it, for what validation needs of it. */
  readonly props: V1JSONSchemaProps;
  /** '' where any type is allowed. */
  readonly type: string;
  readonly properties: ReadonlyMap<string, Structure>;
  /** What the values of a map are. */
  readonly additional: Structure | 'anything' | undefined;
  readonly items: Structure | undefined;
  readonly preservesUnknown: boolean;
  /** The value is a whole Kubernetes object. */
  readonly isEmbedded: boolean;
  readonly isNullable: boolean;
  readonly isIntOrString: boolean;
  /** True when there is a default here or anywhere below. */
  readonly hasDefaults: boolean;
  /** True when there are rules here or anywhere below. */
  readonly hasRules: boolean;
}

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function structureOf(props: V1JSONSchemaProps): Structure {
  const properties = new Map(Object.entries(props.properties ?? {}).map(([name, inner]) => [name, structureOf(inner)] as const));
  const additional = additionalOf(props.additionalProperties);
  const items = isFields(props.items) ? structureOf(props.items) : undefined;
  const below = [...properties.values(), ...(typeof additional === 'object' ? [additional] : []), ...(items ? [items] : [])];
  return {
    props,
    type: props.type ?? '',
    properties,
    additional,
    items,
    preservesUnknown: props['x-kubernetes-preserve-unknown-fields'] === true,
    isEmbedded: props['x-kubernetes-embedded-resource'] === true,
    isNullable: props.nullable === true,
    isIntOrString: props['x-kubernetes-int-or-string'] === true,
    hasDefaults: props.default !== undefined || below.some(({ hasDefaults }) => hasDefaults),
    hasRules: (props['x-kubernetes-validations'] ?? []).length > 0 || below.some(({ hasRules }) => hasRules),
  };
}

function additionalOf(value: unknown): Structure['additional'] {
  if (isFields(value)) return structureOf(value);
  return value === true ? 'anything' : undefined;
}

/** What `apiVersion`, `kind` and `metadata` are is not the definition's to say. */
export const metaFields: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/** Keys come from clients: `__proto__` must become a plain field. */
export function setOwn(record: Fields, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
  else record[key] = value;
}
